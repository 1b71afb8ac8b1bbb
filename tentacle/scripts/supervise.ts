// Watches a script that runs, its own child or one taken up again, until it has ended or has to be ended.
import { setTimeout as delay } from 'node:timers/promises';
import type { ProcessIdentity } from '../journal/records.ts';
import { isAlive, ledGroupIsAlive, signalGroup } from './process.ts';

const pollMs = 50;
/** A process that cannot even be killed hangs in the kernel; it is not waited for longer than this. */
const unkillableMs = 5_000;

/** Resolves when the leader of the script's group is gone: as its launcher tells, or when that cannot, as /proc does. */
export async function leaderGone(
  leader: ProcessIdentity,
  exited: Promise<number | undefined> | undefined,
  signal: AbortSignal,
): Promise<void> {
  if ((await exited) !== undefined) return;
  while (isAlive(leader)) await delay(pollMs, undefined, { signal });
}

/** Resolves when no process of the group is left. */
export async function groupGone(leader: ProcessIdentity, signal: AbortSignal): Promise<void> {
  while (ledGroupIsAlive(leader)) await delay(pollMs, undefined, { signal });
}

/** Ends a whole group: asks it to, and after `graceMs` makes it. Resolves when it is gone. */
export async function endGroup(leader: ProcessIdentity, graceMs: number, signal: AbortSignal): Promise<void> {
  if (!ledGroupIsAlive(leader)) return;
  signalGroup(leader.pid, 'SIGTERM');
  // A stopped process cannot take the hint.
  signalGroup(leader.pid, 'SIGCONT');
  const killAt = performance.now() + graceMs;
  while (ledGroupIsAlive(leader)) {
    const now = performance.now();
    if (now >= killAt) signalGroup(leader.pid, 'SIGKILL');
    if (now >= killAt + unkillableMs) return;
    await delay(Math.min(pollMs, Math.max(10, killAt - now)), undefined, { signal });
  }
}
