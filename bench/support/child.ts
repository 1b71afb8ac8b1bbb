// Child processes that a bench controls: one JSON request and one answer, over Node's IPC channel.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { onThisMachine, type Spawner } from '../../test/support/spawner.ts';

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A running child and its pending requests. */
export class BenchChild {
  readonly #childProcess: ChildProcess;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#childProcess = child;
    child.on('message', (message) => {
      const { id, value, error } = message as Answer;
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error === undefined) pending?.resolve(value);
      else pending?.reject(new Error(error));
    });
    child.once('exit', (code, signal) => {
      const gone = new Error(`the child ended (${code ?? signal ?? 'unknown'}) with pending requests`);
      for (const { reject } of this.#pending.values()) reject(gone);
      this.#pending.clear();
    });
  }

  static start(script: string, spawner: Spawner = onThisMachine): BenchChild {
    return new BenchChild(spawner(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  }

  /** Sends one request; rejects with the child's error text when it fails. */
  ask<T>(verb: string, details: Record<string, unknown> = {}): Promise<T> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#childProcess.send({ id, verb, ...details }, (failure) => {
        if (failure !== null) reject(failure);
      });
    });
  }

  get pid(): number {
    return this.#childProcess.pid ?? 0;
  }

  async stop(): Promise<void> {
    if (this.#childProcess.exitCode !== null || this.#childProcess.signalCode !== null) return;
    const exited = once(this.#childProcess, 'exit');
    // The child exits by itself when its channel closes, so that a profiler can still write its results.
    this.#childProcess.disconnect();
    const killTimer = setTimeout(() => this.#childProcess.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(killTimer);
  }
}

export interface BenchRequest {
  readonly id: number;
  readonly verb: string;
}

/** In the child: answers every request with the handler of its verb. The child exits when its parent does. */
export function answer(handlers: Readonly<Record<string, (request: never) => unknown>>): void {
  process.on('message', (message: BenchRequest) => {
    const handler = handlers[message.verb] as ((request: BenchRequest) => unknown) | undefined;
    Promise.resolve()
      .then(() => {
        if (handler === undefined) throw new Error(`unknown verb ${message.verb}`);
        return handler(message);
      })
      .then(
        (value) => process.send?.({ id: message.id, value }),
        (failure: unknown) => process.send?.({ id: message.id, error: String(failure) }),
      );
  });
  process.on('disconnect', () => process.exit(0));
}

/** Resources that a process has used so far. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** In the child: the resources it has used so far. */
export function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() };
}
