// Starts, calls and kills the host process of host.ts.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { ScriptOrder } from '../../tentacle/scripts/engine.ts';
import type { StatusMessage } from '../../tentacle/scripts/run/status.ts';
import type { SpooledLine } from '../../tentacle/logs/spool.ts';
import { waitFor } from '../support/wait.ts';
import type { HostRequest } from './host.ts';
import { endScriptsIn, type TestEngineOptions } from './support.ts';

const hostFile = fileURLToPath(new URL('host.ts', import.meta.url));

/** The host died before it answered. */
export class HostDied extends Error {}

export interface HostOptions extends TestEngineOptions {
  /** A command that runs the host, such as strace with its options. */
  readonly under?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export class Host {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #nextId = 1;
  /** Resolves when the host is gone. */
  readonly gone: Promise<void>;

  constructor(dataDir: string, { under = [], env = {}, ...options }: HostOptions = {}) {
    const [program, ...words] = [...under, process.execPath, hostFile, dataDir, JSON.stringify(options)];
    this.#child = spawn(program, words, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    this.#child.stdin!.on('error', () => undefined);
    this.gone = once(this.#child.stdout!, 'close').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new HostDied('the host died'));
      this.#waiting.clear();
    });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.#take(line));
    onTestFinished(async () => {
      await this.kill();
      endScriptsIn(dataDir);
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  start(order: ScriptOrder): Promise<StatusMessage> {
    return this.#call('start', order) as Promise<StatusMessage>;
  }

  status(order: ScriptOrder): Promise<StatusMessage> {
    return this.#call('status', order) as Promise<StatusMessage>;
  }

  cancel(order: ScriptOrder): Promise<StatusMessage> {
    return this.#call('cancel', order) as Promise<StatusMessage>;
  }

  complete(order: ScriptOrder): Promise<StatusMessage> {
    return this.#call('complete', order) as Promise<StatusMessage>;
  }

  lines(order: ScriptOrder): Promise<SpooledLine[]> {
    return this.#call('lines', order) as Promise<SpooledLine[]>;
  }

  async ended(order: ScriptOrder, limitMs = 30_000): Promise<StatusMessage> {
    return waitFor(
      async () => {
        const status = await this.status(order);
        return status.endedAtMs > 0 ? status : undefined;
      },
      { limitMs, what: `the end of ticket ${order.ticket}` },
    );
  }

  /** kill -9; resolves when the host is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.gone;
  }

  #call(method: HostRequest['method'], order: ScriptOrder): Promise<unknown> {
    const id = this.#nextId;
    this.#nextId += 1;
    const answer = Promise.withResolvers<unknown>();
    if (this.#child.stdout!.destroyed) answer.reject(new HostDied('the host is dead'));
    this.#waiting.set(id, answer);
    this.#child.stdin!.write(`${JSON.stringify({ id, method, order } satisfies HostRequest)}\n`);
    return answer.promise;
  }

  #take(line: string): void {
    const message = JSON.parse(line) as { id: number; result?: unknown; error?: { code: string; message: string } };
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.error === undefined) waiting?.resolve(message.result);
    else waiting?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
  }
}
