// The launcher: a small process that starts scripts for the agent, outlives it, and writes down how they ended. It has
// no part of the agent in it, so that a fork copies little, and the agent need not wait until an interpreter is loaded.
//
// Orders come in on standard input, one JSON object per line, and events go out likewise. When the agent is gone it
// takes no more orders, and ends with its last script. Nobody reads its events then; the exit files are there.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { LaunchEvent, LaunchOrder } from './launcher.ts';
import { identify } from './child-process.ts';
import { exitText, STARTED_OFFSET, startedText } from './exit-file.ts';

/** Asked to end, it does not: it has to write down how its scripts took that, and ends by itself. */
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdout.on('error', () => undefined);

function tell(event: LaunchEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function launch({ id, stdout, stderr, exit, workingFolder, environment, command }: LaunchOrder): void {
  const files: number[] = [];
  try {
    const exitFile = openSync(exit, 'r+');
    files.push(exitFile);
    // The claim: whoever makes this file has the say. Appending, so that the agent may cut a file that nobody will
    // read.
    files.push(openSync(stdout, 'ax', 0o600), openSync(stderr, 'a', 0o600));
    const [program = '', ...words] = command;
    const stdio = ['ignore' as const, ...files.slice(1)];
    const child = spawn(program, words, { cwd: workingFolder, env: environment, detached: true, stdio });
    files.splice(0, 1);
    if (child.pid === undefined) {
      closeSync(exitFile);
      child.once('error', (error) => tell({ id, kind: 'refused', code: codeOf(error), detail: error.message }));
    } else watch(id, child, child.pid, exitFile);
  } catch (error) {
    tell({ id, kind: 'refused', code: codeOf(error), detail: error instanceof Error ? error.message : String(error) });
  } finally {
    for (const file of files) closeSync(file);
  }
}

function watch(id: number, child: ChildProcess, pid: number, exitFile: number): void {
  const startTicks = identify(pid)?.startTicks ?? 0;
  const startedAtMs = Date.now();
  writeDown(exitFile, startedText({ pid, startTicks, startedAtMs }), STARTED_OFFSET);
  tell({ id, kind: 'started', pid, startTicks, startedAtMs });
  child.once('exit', (code, signal) => {
    // As a shell counts.
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    writeDown(exitFile, exitText(exitCode), 0);
    closeSync(exitFile);
    tell({ id, kind: 'exited', exitCode });
  });
}

/** When the disk fails, an agent that listens is told all the same. */
function writeDown(exitFile: number, text: string, offset: number): void {
  try {
    writeSync(exitFile, text, offset);
  } catch {
    // Nobody to tell but the agent, who finds out.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

createInterface({ input: process.stdin }).on('line', (line) => {
  let order: LaunchOrder;
  try {
    order = JSON.parse(line) as LaunchOrder;
  } catch {
    // The agent was killed while it wrote: what is not whole was not ordered.
    return;
  }
  launch(order);
});
