// Reads processes and process groups from /proc. A pid alone proves nothing, since pids are reused.
import { readdirSync, readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { ChildProcessIdentity } from '../../journal/records.ts';
import { bootId } from '../../../lib/boot-id.ts';
import { isShortage, lookOr } from '../../system-errors.ts';

interface ProcessStat {
  readonly state: string;
  readonly processGroup: number;
  readonly session: number;
  readonly startTicks: number;
}

/** The clock tick of /proc, on every machine that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The identity of a running process; undefined when none has this pid. */
export function identify(pid: number): ChildProcessIdentity | undefined {
  const stat = readStat(pid);
  return stat === undefined ? undefined : { pid, startTicks: stat.startTicks, bootId: bootId() };
}

/** How long a process has run, independent of changes to the machine's clock. */
export function ageMs({ startTicks }: Pick<ChildProcessIdentity, 'startTicks'>): number {
  return (uptime() - startTicks / TICKS_PER_SECOND) * 1000;
}

/** When a process started, by the machine's present clock. */
export function startedAtMs(childProcess: Pick<ChildProcessIdentity, 'startTicks'>): number {
  const now = Date.now();
  return Math.round(now - ageMs(childProcess));
}

/** Whether exactly this process still runs; a zombie does not. True, too, while that cannot be looked up. */
export function isAlive(childProcess: ChildProcessIdentity): boolean {
  return lookOr(true, () => {
    if (childProcess.bootId !== bootId()) return false;
    const stat = readStat(childProcess.pid);
    return stat !== undefined && stat.startTicks === childProcess.startTicks && stat.state !== 'Z';
  });
}

/**
 * Whether the group that this process led still has a member; see `ledGroup`. True, too, while that cannot be looked
 * up.
 */
export function ledGroupIsAlive(leader: ChildProcessIdentity): boolean {
  return lookOr(true, () => ledGroup(leader).length > 0);
}

/**
 * The living members of the group and session that this process led. While there are any, the kernel does not reuse the
 * leader's pid: a process that has it now, and started at another time, leads another group.
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
    // EPERM: the group still has members, all of another user.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** The pids of all processes. */
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

/** Undefined when the process is gone; throws when that is not known, since this process has no descriptor left. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isShortage(error)) throw error;
    return undefined;
  }
}
