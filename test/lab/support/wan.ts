// One long line of the lab: a shaper process (wan.c) between two namespaces, driven over its standard input. The shaper
// ends when its input does, so that a killed driver leaves no line behind.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import { run } from './run.ts';

/** What a line does to packets in each direction. */
export interface LineShape {
  /** In one direction; the round trip is twice this. */
  readonly delayMs: number;
  readonly rateMbit: number;
  readonly lossPercent?: number;
  /** Packets that would wait longer than this are dropped. A quarter of a second is what a modest router holds. */
  readonly queueMs?: number;
}

export interface LineBytes {
  /** IP bytes delivered from the first end to the second, and back. */
  readonly forward: number;
  readonly backward: number;
  readonly droppedPackets: number;
}

export interface LineEnd {
  readonly namespace: string;
  readonly device: string;
  readonly cidr: string;
}

/** Compiles the shaper once per version of its source, into the system's temporary folder. */
async function compiledShaper(): Promise<string> {
  const source = join(import.meta.dirname, 'wan.c');
  const digest = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16);
  const folder = join(tmpdir(), 'isthmus-lab');
  const binary = join(folder, `wan-${digest}`);
  if (existsSync(binary)) return binary;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${binary}.${process.pid}`;
  await run('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', fresh, source]);
  await rename(fresh, binary);
  return binary;
}

const shapeArguments = ({ delayMs, rateMbit, lossPercent = 0, queueMs = 250 }: LineShape): string[] =>
  [delayMs * 1000, rateMbit * 1e6, lossPercent * 1e4, queueMs].map((value) => String(Math.round(value)));

/** A running line. Every method resolves when the shaper has done it. */
export class Line {
  readonly #childProcess: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#childProcess = child;
    this.#lines = createInterface({ input: child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
    child.stdin.on('error', () => undefined);
  }

  static async up(ends: readonly [LineEnd, LineEnd], shape: LineShape): Promise<Line> {
    const [a, b] = ends;
    const names = [a.namespace, a.device, b.namespace, b.device];
    const child = spawn(await compiledShaper(), [...names, ...shapeArguments(shape)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const line = new Line(child);
    const first = await line.#answers.next();
    if (first.done === true || first.value !== 'up') throw new Error('the line shaper did not come up');
    for (const end of ends) {
      await run('ip', ['-n', end.namespace, 'addr', 'add', end.cidr, 'dev', end.device]);
      await run('ip', ['-n', end.namespace, 'link', 'set', end.device, 'mtu', '1500', 'txqueuelen', '2000', 'up']);
    }
    return line;
  }

  #say(command: string): Promise<string> {
    const answer = this.#turn.then(async () => {
      this.#childProcess.stdin.write(`${command}\n`);
      const next = await this.#answers.next();
      if (next.done === true) throw new Error(`the line shaper ended before it answered "${command}"`);
      return next.value;
    });
    this.#turn = answer.catch(() => undefined);
    return answer;
  }

  /** Drops everything, or only what goes in one direction. */
  async cut(direction: 'forward' | 'backward' | 'both' = 'both'): Promise<void> {
    const answer = await this.#say(direction === 'both' ? 'cut' : `cut ${direction}`);
    if (answer !== 'ok') throw new Error(`the line shaper cannot cut ${direction}`);
  }

  async heal(): Promise<void> {
    await this.#say('heal');
  }

  async shape(shape: LineShape): Promise<void> {
    await this.#say(`shape ${shapeArguments(shape).join(' ')}`);
  }

  async bytes(): Promise<LineBytes> {
    const counts = (await this.#say('count')).split(' ').map(Number);
    const [forward = 0, backward = 0, droppedForward = 0, droppedBackward = 0] = counts;
    return { forward, backward, droppedPackets: droppedForward + droppedBackward };
  }

  async down(): Promise<void> {
    if (this.#childProcess.exitCode === null && this.#childProcess.signalCode === null) {
      const exited = once(this.#childProcess, 'exit');
      this.#childProcess.stdin.end();
      await exited;
    }
    this.#lines.close();
  }
}
