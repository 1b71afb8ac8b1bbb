// What a command uses of its process: streams, whether a user can answer, and the stop signal. Tests pass another.
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import type { Readable, Writable } from 'node:stream';
import { IsthmusError } from '../contract/errors.ts';

export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable & { columns?: number; rows?: number };
  readonly stderr: Writable & { isTTY?: boolean };
  /** Whether standard output is a terminal, where lines can be redrawn. */
  readonly redraws: boolean;
  /** Whether a user can answer questions. */
  readonly interactive: boolean;
  /** Aborts at Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
}

/** Writes one line to standard output. */
export function say(terminal: Terminal, line: string): void {
  terminal.stdout.write(`${line}\n`);
}

/** Writes one line to standard error. */
export function warn(terminal: Terminal, line: string): void {
  terminal.stderr.write(`${line}\n`);
}

/** Asks before something is destroyed, unless `yes`; throws CONFIRMATION_NEEDED when nobody can answer. */
export async function confirm(terminal: Terminal, question: string, yes: boolean | undefined): Promise<void> {
  if (yes === true) return;
  if (!terminal.interactive)
    throw new IsthmusError('CONFIRMATION_NEEDED', `${question} (nobody is at a terminal to confirm)`);
  const prompt = createInterface({ input: terminal.stdin, output: terminal.stderr });
  try {
    const asked = prompt.question(`${question} [y/N] `, { signal: terminal.signal });
    // Ctrl-C, Ctrl-D and the end of the input are no answer.
    const answer = await Promise.race([asked.catch(() => undefined), once(prompt, 'close').then(() => undefined)]);
    if (answer === undefined) warn(terminal, '');
    else if (/^y(es)?$/i.test(answer.trim())) return;
    throw new IsthmusError('CANCELLED', 'not confirmed; nothing was done', {
      remedy: 'Answer `y` to do it, or add `--yes`.',
    });
  } finally {
    prompt.close();
  }
}
