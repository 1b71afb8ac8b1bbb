// Child processes that a bench asks things of: one JSON message there, one back, over Node's own channel.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { onThisMachine, type Spawner } from '../../test/support/spawner.ts';

interface Answer {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: string;
}

/** A running child and the questions it has not answered yet. */
export class AskedChild {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #asked = 0;

  private constructor(child: ChildProcess) {
    this.#process = child;
    child.on('message', (message) => {
      const { id, value, error } = message as Answer;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(value);
      else waiting?.reject(new Error(error));
    });
    child.once('exit', (code, signal) => {
      const gone = new Error(`the child ended (${code ?? signal ?? 'unknown'}) with questions open`);
      for (const { reject } of this.#waiting.values()) reject(gone);
      this.#waiting.clear();
    });
  }

  static start(script: string, spawner: Spawner = onThisMachine): AskedChild {
    return new AskedChild(spawner(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }));
  }

  /** Asks one thing; rejects with the child's own words when it fails. */
  ask<T>(verb: string, details: Record<string, unknown> = {}): Promise<T> {
    this.#asked += 1;
    const id = this.#asked;
    return new Promise<T>((resolve, reject) => {
      this.#waiting.set(id, { resolve: (value) => resolve(value as T), reject });
      this.#process.send({ id, verb, ...details }, (failure) => {
        if (failure !== null) reject(failure);
      });
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    // The child ends when its channel does, in its own way, so that a profiler can still write what it has.
    this.#process.disconnect();
    const impatient = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(impatient);
  }
}

export interface Question {
  readonly id: number;
  readonly verb: string;
}

/** In the child: answers every question by the handler of its verb. The child ends when its parent is gone. */
export function answer(handlers: Readonly<Record<string, (question: never) => unknown>>): void {
  process.on('message', (message: Question) => {
    const handler = handlers[message.verb] as ((question: Question) => unknown) | undefined;
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

/** What a process has used so far. */
export interface Usage {
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** In the child: what it has used so far. */
export function usage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuSeconds: (user + system) / 1e6, rssBytes: process.memoryUsage.rss() };
}
