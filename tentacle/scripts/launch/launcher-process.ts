// The launcher: a small process that starts scripts for the agent, outlives it, and records their exit codes. It loads
// no code of the agent, so that a fork copies little, and the agent need not wait until an interpreter is loaded.
//
// Orders come in on standard input, one JSON object per line; events go out on standard output likewise. When the agent
// is gone, the launcher gets no more orders and ends with its last script. Its events are then lost; exit files remain.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import type { LaunchEvent, LaunchOrder } from './launcher.ts';
import { identify } from './child-process.ts';
import { exitText, STARTED_OFFSET, startedText } from './exit-file.ts';

/** Ignores signals to end: it must still record the exit codes of its scripts, and ends by itself after the last. */
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdout.on('error', () => undefined);

function send(event: LaunchEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function launch({ id, stdout, stderr, exit, workingFolder, env, command }: LaunchOrder): void {
  const files: number[] = [];
  try {
    const exitFile = openSync(exit, 'r+');
    files.push(exitFile);
    // The claim: whoever creates this file decides. Opened to append, so that the agent can truncate it at any time.
    files.push(openSync(stdout, 'ax', 0o600), openSync(stderr, 'a', 0o600));
    const [program = '', ...words] = command;
    const stdio = ['ignore' as const, ...files.slice(1)];
    const child = spawn(program, words, { cwd: workingFolder, env, detached: true, stdio });
    files.splice(0, 1);
    if (child.pid === undefined) {
      closeSync(exitFile);
      child.once('error', (error) => send({ id, kind: 'rejected', code: codeOf(error), detail: error.message }));
    } else watch(id, child, child.pid, exitFile);
  } catch (error) {
    send({ id, kind: 'rejected', code: codeOf(error), detail: error instanceof Error ? error.message : String(error) });
  } finally {
    for (const file of files) closeSync(file);
  }
}

function watch(id: number, child: ChildProcess, pid: number, exitFile: number): void {
  const startTicks = identify(pid)?.startTicks ?? 0;
  const startedAtMs = Date.now();
  record(exitFile, startedText({ pid, startTicks, startedAtMs }), STARTED_OFFSET);
  send({ id, kind: 'started', pid, startTicks, startedAtMs });
  child.once('exit', (code, signal) => {
    // As a shell does.
    const exitCode = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
    record(exitFile, exitText(exitCode), 0);
    closeSync(exitFile);
    send({ id, kind: 'exited', exitCode });
  });
}

/** Ignores a failing disk: a living agent still gets the event. */
function record(exitFile: number, text: string, offset: number): void {
  try {
    writeSync(exitFile, text, offset);
  } catch {
    // The agent finds out.
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
    // The agent was killed while it wrote: an incomplete order is no order.
    return;
  }
  launch(order);
});
