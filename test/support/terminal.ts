// A terminal for running a command inside a test: what it reads, and everything it wrote.
import { PassThrough, Readable } from 'node:stream';
import { run } from '../../cli/run.ts';
import type { Terminal } from '../../cli/terminal.ts';

interface RunResult {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface RunOptions {
  readonly stdin?: string;
  /** Somebody sits there, who types `stdin`. */
  readonly interactive?: boolean;
  readonly signal?: AbortSignal;
}

/** A terminal, nobody sitting at it unless told otherwise, and what was written to it so far. */
export function captureTerminal(options: RunOptions = {}): {
  terminal: Terminal;
  written: () => { out: string; err: string };
} {
  const { stdin = '', interactive = false, signal = new AbortController().signal } = options;
  const texts = { out: '', err: '' };
  const collect = (name: 'out' | 'err'): PassThrough => {
    const stream = new PassThrough();
    stream.on('data', (chunk: Buffer) => (texts[name] += chunk.toString()));
    return stream;
  };
  const terminal: Terminal = {
    stdin: Readable.from([stdin]),
    stdout: collect('out'),
    stderr: collect('err'),
    redraws: false,
    interactive,
    signal,
  };
  return { terminal, written: () => ({ ...texts }) };
}

/** Runs one command line inside this process. */
export async function isthmus(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { terminal, written } = captureTerminal(options);
  const code = await run(argv, terminal);
  return { code, ...written() };
}
