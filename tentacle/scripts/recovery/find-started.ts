// Finds the process of an in-doubt start: the claim is taken, the outcome unknown. The supervisor records the process
// before it becomes the script, and has the output file open meanwhile.
import { setTimeout as delay } from 'node:timers/promises';
import type { StartedChildProcess } from '../launch/exit-file.ts';
import { openFilesOf } from '../workspace/open-files.ts';
import { pids } from '../launch/child-process.ts';
import type { Workspace } from '../workspace/workspace.ts';

const POLL_MS = 10;
/** A machine under load may take this long from the claim to the interpreter. */
const LAUNCHING_MS = 5_000;

/** Waits while the script is about to start. Undefined when it does not run, or its process cannot be identified. */
export async function findStarted(workspace: Workspace, attempt: number): Promise<StartedChildProcess | undefined> {
  const output = workspace.stdout(attempt);
  const until = performance.now() + LAUNCHING_MS;
  for (;;) {
    const held = pids().some((pid) => openFilesOf(pid, workspace.path).some(({ path }) => path === output));
    // Read after the scan: a process that closed the file before it may have recorded the start first.
    const started = workspace.started();
    if (started !== undefined || !held || performance.now() >= until) return started;
    await delay(POLL_MS);
  }
}
