// Processes and process groups as /proc shows them. A pid alone proves nothing: it is used again.
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import type { ProcessIdentity } from '../journal/records.ts';

interface ProcessStat {
  readonly state: string;
  readonly processGroup: number;
  readonly startTicks: number;
}

let bootIdOnce: string | undefined;

/** Differs after every boot of the machine. */
export function bootId(): string {
  bootIdOnce ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootIdOnce;
}

/** The identity of a process that runs now; undefined when there is none with this pid. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const stat = await readStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: bootId() };
}

/** Whether exactly this process still runs; a zombie does not. */
export async function isAlive(process: ProcessIdentity): Promise<boolean> {
  if (process.bootId !== bootId()) return false;
  const stat = await readStat(process.pid);
  return stat !== undefined && stat.startTicks === process.startTicks && stat.state !== 'Z';
}

/** Whether the group still has a member that is no zombie. */
export async function groupIsAlive(processGroup: number): Promise<boolean> {
  if (!signalGroup(processGroup, 0)) return false;
  for (const pid of await pids()) {
    const stat = await readStat(pid);
    if (stat?.processGroup === processGroup && stat.state !== 'Z' && stat.state !== 'X') return true;
  }
  return false;
}

/** Signals a whole group; false when it has no members left. */
export function signalGroup(processGroup: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-processGroup, signal);
    return true;
  } catch (error) {
    // EPERM means that there are members; only those of another user are left.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The process that has `argument` among its arguments, if there is one. */
export async function findByArgument(argument: string): Promise<ProcessIdentity | undefined> {
  for (const pid of await pids()) {
    const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (pid !== process.pid && commandLine.split('\0').includes(argument)) return identify(pid);
  }
  return undefined;
}

async function pids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

async function readStat(pid: number): Promise<ProcessStat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The command name stands in parentheses and may itself contain any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, processGroup: Number(fields[2]), startTicks: Number(fields[19]) };
}
