// How much memory of a process is resident, as Linux tells.
import { readFile } from 'node:fs/promises';

/** NaN for a process that has ended and that nobody has waited for. */
export async function residentBytes(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
