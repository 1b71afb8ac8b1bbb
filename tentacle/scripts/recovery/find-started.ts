// Finds the process of an in-doubt start: the claim is taken, the outcome unknown. The supervisor records the process
// before it becomes the script, and has the output file open meanwhile.
import { setTimeout as delay } from 'node:timers/promises';
import { retryShortage } from '../../system-errors.ts';
import type { StartedChildProcess } from '../launch/exit-file.ts';
import { openFilesOf } from '../workspace/open-files.ts';
import { pids } from '../launch/child-process.ts';
import type { Workspace } from '../workspace/workspace.ts';

const POLL_MS = 10;
/** A machine under load may take this long from the claim to the interpreter. */
const LAUNCHING_MS = 5_000;

/**
 * Waits while the script is about to start. `never` when it certainly does not; `unknown` when somebody took the record
 * away, or the start takes too long.
 */
export async function findStarted(
  workspace: Workspace,
  attempt: number,
  stopping?: AbortSignal,
): Promise<StartedChildProcess | 'never' | 'unknown'> {
  const output = workspace.stdout(attempt);
  const look = () => ({
    held: pids().some((pid) => openFilesOf(pid, workspace.path).some(({ path }) => path === output)),
    // Read after the scan: a process that closed the file before it may have recorded the start first.
    started: workspace.started(),
    pending: workspace.isPending(),
  });
  const until = performance.now() + LAUNCHING_MS;
  for (;;) {
    const { held, started, pending } = await retryShortage(look, stopping);
    if (started !== undefined) return started;
    if (!held && pending) return 'never';
    if (!held || performance.now() >= until) return 'unknown';
    await delay(POLL_MS, undefined, { signal: stopping });
  }
}
