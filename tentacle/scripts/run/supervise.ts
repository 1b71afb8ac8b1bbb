// Waits for the processes of a running script to end, or kills them; works for own children and for recovered scripts.
import { setTimeout as delay } from 'node:timers/promises';
import type { ChildProcessIdentity, ProcessExit } from '../../journal/records.ts';
import { lookOr, retryShortage } from '../../system-errors.ts';
import { openFilesOf } from '../workspace/open-files.ts';
import { isAlive, ledGroup, ledGroupIsAlive, pids, signalGroup } from '../launch/child-process.ts';
import { isRawOutput, type Workspace } from '../workspace/workspace.ts';

const POLL_MS = 50;
/** A process that survives SIGKILL hangs in the kernel; it is waited for no longer than this. */
const UNKILLABLE_MS = 5_000;
/** Helpers that still write a script's last output, as in `exec > >(tee FILE)`, are done well before this. */
const FINISH_MS = 1_000;
const FINISH_POLL_MS = 20;
/** A supervisor under load may take this long to notice an exit. */
const WRITING_MS = 30_000;

/** Resolves when the leader of the script's group is gone: reported by its launcher, or else seen in /proc. */
export async function leaderGone(
  leader: ChildProcessIdentity,
  exited: Promise<void> | undefined,
  signal: AbortSignal,
): Promise<void> {
  await exited;
  while (isAlive(leader)) await delay(POLL_MS, undefined, { signal });
}

/** Resolves when no process of the group is left. */
export async function groupGone(leader: ChildProcessIdentity, signal: AbortSignal): Promise<void> {
  while (ledGroupIsAlive(leader)) await delay(POLL_MS, undefined, { signal });
}

/**
 * Whether a supervisor may still record how the script ended: it has the exit file open until then. True, too, while
 * that cannot be looked up.
 */
export function exitIsBeingWritten(workspace: Workspace): boolean {
  const has = (pid: number): boolean => openFilesOf(pid, workspace.path).some(({ path }) => path === workspace.exit);
  return lookOr(true, () => pids().some(has));
}

/** How the script ended, after its leader is gone; undefined when that was not recorded and never will be. */
export async function recordedExit(workspace: Workspace, signal: AbortSignal): Promise<ProcessExit | undefined> {
  const read = (): Promise<ProcessExit | undefined> => retryShortage(() => workspace.exitOfScript(), signal);
  const until = performance.now() + WRITING_MS;
  for (;;) {
    const exit = await read();
    if (exit !== undefined || performance.now() >= until) return exit;
    // Read once more: it may have been written before the last look.
    if (!exitIsBeingWritten(workspace)) return read();
    await delay(FINISH_POLL_MS, undefined, { signal });
  }
}

/**
 * Resolves when no process of the group has the script's output (in `folder`) open any more: after the leader has
 * ended, others may still be writing. They are not waited for long; resolves with the pids that then still have it
 * open.
 */
export async function outputFinished(
  leader: ChildProcessIdentity,
  folder: string,
  signal: AbortSignal,
): Promise<number[]> {
  if (!signalGroup(leader.pid, 0)) return [];
  const has = (pid: number): boolean =>
    lookOr(true, () => openFilesOf(pid, folder).some(({ path }) => isRawOutput(path)));
  const until = performance.now() + FINISH_MS;
  for (;;) {
    const holders = (await retryShortage(() => ledGroup(leader), signal)).filter(has);
    if (holders.length === 0 || performance.now() >= until) return holders;
    do await delay(FINISH_POLL_MS, undefined, { signal });
    while (holders.some(has) && performance.now() < until);
  }
}

/** Ends a whole group: SIGTERM, and SIGKILL after `graceMs`. Resolves when it is gone. */
export async function endGroup(leader: ChildProcessIdentity, graceMs: number, signal: AbortSignal): Promise<void> {
  if (!ledGroupIsAlive(leader)) return;
  signalGroup(leader.pid, 'SIGTERM');
  // A stopped process must run to handle it.
  signalGroup(leader.pid, 'SIGCONT');
  const killAt = performance.now() + graceMs;
  while (ledGroupIsAlive(leader)) {
    const now = performance.now();
    if (now >= killAt) signalGroup(leader.pid, 'SIGKILL');
    if (now >= killAt + UNKILLABLE_MS) return;
    await delay(Math.min(POLL_MS, Math.max(10, killAt - now)), undefined, { signal });
  }
}
