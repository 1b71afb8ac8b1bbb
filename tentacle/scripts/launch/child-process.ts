// Processes and process groups as /proc shows them. A pid alone proves nothing: it is used again.
import { readdirSync, readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { ChildProcessIdentity } from '../../journal/records.ts';

interface ProcessStat {
  readonly state: string;
  readonly processGroup: number;
  readonly session: number;
  readonly startTicks: number;
}

/** As /proc counts, on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;

let bootIdOnce: string | undefined;

/** Differs after every boot of the machine. */
export function bootId(): string {
  bootIdOnce ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return bootIdOnce;
}

/** The identity of a process that runs now; undefined when there is none with this pid. */
export function identify(pid: number): ChildProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: bootId() };
}

/** The identity of a process that leads a session and a group of its own; undefined when this one does not. */
export function sessionLeader(pid: number): ChildProcessIdentity | undefined {
  const stat = readStat(pid);
  if (stat?.session !== pid || stat.processGroup !== pid) return undefined;
  return { pid, startTicks: stat.startTicks, bootId: bootId() };
}

/** For how long it has run, in milliseconds, whatever the clock of the machine was set to meanwhile. */
export function ageMs({ startTicks }: Pick<ChildProcessIdentity, 'startTicks'>): number {
  return (uptime() - startTicks / TICKS_PER_SECOND) * 1000;
}

/** The words of its command line; none when it is gone. */
export function commandOf(pid: number): readonly string[] {
  return read(`/proc/${pid}/cmdline`)?.split('\0') ?? [];
}

/** Whether exactly this process still runs; a zombie does not. */
export function isAlive(process: ChildProcessIdentity): boolean {
  if (process.bootId !== bootId()) return false;
  const stat = readStat(process.pid);
  return stat !== undefined && stat.startTicks === process.startTicks && stat.state !== 'Z';
}

/** Whether the group that this process led still has a member; see `ledGroup`. */
export function ledGroupIsAlive(leader: ChildProcessIdentity): boolean {
  return ledGroup(leader).length > 0;
}

/**
 * The members that are no zombies of the group that this process led, with a session of its own. While it has some, its
 * number is not given to another process: one that has it now, and is not the leader, leads strangers.
 */
export function ledGroup(leader: ChildProcessIdentity): number[] {
  if (leader.bootId !== bootId()) return [];
  const first = readStat(leader.pid);
  if (first !== undefined && first.startTicks !== leader.startTicks) return [];
  if (!signalGroup(leader.pid, 0)) return [];
  return pids().filter((pid) => {
    const stat = readStat(pid);
    if (stat?.processGroup !== leader.pid || stat.session !== leader.pid) return false;
    return stat.startTicks >= leader.startTicks && stat.state !== 'Z' && stat.state !== 'X';
  });
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

/** All processes there are. */
export function pids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function readStat(pid: number): ProcessStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The command name stands in parentheses and may itself contain any character.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    state: fields[0]!,
    processGroup: Number(fields[2]),
    session: Number(fields[3]),
    startTicks: Number(fields[19]),
  };
}

/** Undefined when the process is gone. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
