// Watches a script that runs, its own child or one taken up again, until it has ended or has to be ended.
import { setTimeout as delay } from 'node:timers/promises';
import type { ChildProcessIdentity } from '../../journal/records.ts';
import { openFilesOf } from '../workspace/open-files.ts';
import { isAlive, ledGroup, ledGroupIsAlive, pids, signalGroup } from '../launch/child-process.ts';
import { isRawOutput, type Workspace } from '../workspace/workspace.ts';

const POLL_MS = 50;
/** A process that cannot even be killed hangs in the kernel; it is not waited for longer than this. */
const UNKILLABLE_MS = 5_000;
/** What a script leaves behind to finish what it said, as `exec > >(tee FILE)` does, is done well before this. */
const FINISH_MS = 1_000;
const FINISH_POLL_MS = 20;
/** A launcher under load may need so long to hear of an end. */
const WRITING_MS = 30_000;

/**
 * Resolves when the leader of the script's group is gone: as its launcher tells, or when that cannot, as /proc does.
 */
export async function leaderGone(
  leader: ChildProcessIdentity,
  exited: Promise<number | undefined> | undefined,
  signal: AbortSignal,
): Promise<void> {
  if ((await exited) !== undefined) return;
  while (isAlive(leader)) await delay(POLL_MS, undefined, { signal });
}

/** Resolves when no process of the group is left. */
export async function groupGone(leader: ChildProcessIdentity, signal: AbortSignal): Promise<void> {
  while (ledGroupIsAlive(leader)) await delay(POLL_MS, undefined, { signal });
}

/** Whether a launcher is about to write down how a script ended: it has the file open until then. */
export function endIsBeingWritten(workspace: Workspace): boolean {
  return pids().some((pid) => openFilesOf(pid, workspace.path).some(({ path }) => path === workspace.exit));
}

/** Resolves when how a script ended is written down, or never will be; its leader is gone. */
export async function endWritten(workspace: Workspace, signal: AbortSignal): Promise<void> {
  const until = performance.now() + WRITING_MS;
  while (workspace.exitCode() === undefined && endIsBeingWritten(workspace) && performance.now() < until) {
    await delay(FINISH_POLL_MS, undefined, { signal });
  }
}

/**
 * Resolves when no process of the group has the script's output (in `folder`) open any more: its leader has ended, and
 * others may be about to finish what it said. They are not waited for long: resolves with those that then still have.
 */
export async function outputFinished(
  leader: ChildProcessIdentity,
  folder: string,
  signal: AbortSignal,
): Promise<number[]> {
  if (!signalGroup(leader.pid, 0)) return [];
  const has = (pid: number): boolean => openFilesOf(pid, folder).some(({ path }) => isRawOutput(path));
  const until = performance.now() + FINISH_MS;
  for (;;) {
    const holders = ledGroup(leader).filter(has);
    if (holders.length === 0 || performance.now() >= until) return holders;
    do await delay(FINISH_POLL_MS, undefined, { signal });
    while (holders.some(has) && performance.now() < until);
  }
}

/** Ends a whole group: asks it to, and after `graceMs` makes it. Resolves when it is gone. */
export async function endGroup(leader: ChildProcessIdentity, graceMs: number, signal: AbortSignal): Promise<void> {
  if (!ledGroupIsAlive(leader)) return;
  signalGroup(leader.pid, 'SIGTERM');
  // A stopped process cannot take the hint.
  signalGroup(leader.pid, 'SIGCONT');
  const killAt = performance.now() + graceMs;
  while (ledGroupIsAlive(leader)) {
    const now = performance.now();
    if (now >= killAt) signalGroup(leader.pid, 'SIGKILL');
    if (now >= killAt + UNKILLABLE_MS) return;
    await delay(Math.min(POLL_MS, Math.max(10, killAt - now)), undefined, { signal });
  }
}
