// Whether a process runs. One that has ended and that nobody has waited for yet still answers to signals.
import { readFileSync } from 'node:fs';

/** False for a zombie; where there is no /proc, a zombie counts as running. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return process.platform !== 'linux';
  }
}
