// The launcher: a small process that starts scripts for the agent, and outlives it. It loads no code of the agent, so
// that a fork copies little, and the agent need not wait until a program is loaded. Each script has a supervisor
// (supervisor.ts), which also outlives the launcher.
//
// Orders come in on standard input, one JSON object per line; events go out on standard output likewise. When the agent
// is gone, the launcher gets no more orders and ends with its last script. Its events are then lost; exit files remain.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { readSaid, readStarted } from './exit-file.ts';
import type { LaunchEvent, LaunchOrder } from './launcher.ts';

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW;
const CLAIM = APPEND | constants.O_EXCL;
const UPDATE = constants.O_RDWR | constants.O_NOFOLLOW;

/** Ignores signals to end: it ends by itself after its last script. */
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.stdout.on('error', () => undefined);

function send(event: LaunchEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function reject(id: number, error: unknown): void {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  send({ id, kind: 'rejected', code, detail: error instanceof Error ? error.message : String(error) });
}

function launch(order: LaunchOrder): void {
  const { id, stdout, stderr, exit, workingFolder, env, command } = order;
  const files: number[] = [];
  try {
    files.push(openSync(exit, APPEND, 0o600), openSync(exit, UPDATE));
    // The claim: whoever creates this file decides. Opened to append, so that the agent can truncate it at any time.
    files.push(openSync(stdout, CLAIM, 0o600), openSync(stderr, APPEND, 0o600));
    const [program = '', ...words] = command;
    const supervisor = spawn(program, words, { cwd: workingFolder, env, stdio: ['ignore', 'pipe', ...files] });
    if (supervisor.pid === undefined) supervisor.once('error', (error) => reject(id, error));
    else watch(order, supervisor);
  } catch (error) {
    reject(id, error);
  } finally {
    for (const file of files) closeSync(file);
  }
}

function watch({ id, exit }: LaunchOrder, supervisor: ChildProcess): void {
  let started = false;
  supervisor.stdout!.setEncoding('latin1').once('data', (text: string) => {
    started = true;
    send({ id, kind: 'started', ...readStarted(text)! });
  });
  // After its exit and the last event.
  supervisor.once('close', () => {
    if (started) send({ id, kind: 'exited' });
    else reject(id, new Error(whyNotStarted(exit)));
  });
}

function whyNotStarted(exit: string): string {
  try {
    return readSaid(readFileSync(exit, 'latin1')) || 'its supervisor was killed';
  } catch (error) {
    return String(error);
  }
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
