// The process of a script that somebody claimed to start. Its launcher writes down which that is, and may be about to,
// or may have been killed just before: then it is known by the output that it has open.
import { setTimeout as delay } from 'node:timers/promises';
import type { StartedChildProcess } from '../launch/exit-file.ts';
import { openFilesOf } from '../workspace/open-files.ts';
import { ageMs, commandOf, pids, sessionLeader } from '../launch/child-process.ts';
import type { Workspace } from '../workspace/workspace.ts';

const POLL_MS = 10;
/** A machine under load may need so long from the claim to the interpreter. */
const LAUNCHING_MS = 5_000;

/**
 * Waits while it is about to be started. Undefined when nothing of it runs, or what runs cannot be told from others.
 */
export async function findStarted(workspace: Workspace, attempt: number): Promise<StartedChildProcess | undefined> {
  const output = workspace.stdout(attempt);
  const until = performance.now() + LAUNCHING_MS;
  for (;;) {
    const holders = pids().filter((pid) => openFilesOf(pid, workspace.path).some(({ path }) => path === output));
    // After the look, since who holds it no more may have written this before.
    const started = workspace.started() ?? leaderAmong(holders, workspace);
    if (started !== undefined || holders.length === 0 || performance.now() >= until) return started;
    await delay(POLL_MS);
  }
}

function leaderAmong(holders: readonly number[], { body }: Workspace): StartedChildProcess | undefined {
  const leader = holders
    .filter((pid) => commandOf(pid).includes(body))
    .map(sessionLeader)
    .find(Boolean);
  if (leader === undefined) return undefined;
  const { pid, startTicks } = leader;
  return { pid, startTicks, startedAtMs: Math.round(Date.now() - ageMs(leader)) };
}
