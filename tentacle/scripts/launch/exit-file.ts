// The exit file: a script's supervisor records in it that the script started, and how it ended. It is created before
// the start and overwritten in place, so that there is room for it even when the disk is full by then.
//
//   a line, padded                       pid and start ticks, once the script is about to start
//   eight characters and a line feed     the exit code, or "pending"
//   the rest                             what the supervisor's shell said: of a signal, or why nothing started
import { constants } from 'node:os';
import type { ChildProcessIdentity, ProcessExit } from '../../journal/records.ts';

/** The process that a launcher started. */
export type StartedChildProcess = Pick<ChildProcessIdentity, 'pid' | 'startTicks'>;

const STARTED_WIDTH = 63;
const CODE_WIDTH = 8;

/** The content before the start. */
export const PENDING_TEXT = `${' '.repeat(STARTED_WIDTH)}\n${'pending'.padEnd(CODE_WIDTH)}\n`;

/** A shell's exit code for a command that a signal ended is this and the signal's number. */
const SIGNALLED_ABOVE = 128;
const LAST_SIGNAL = 64;
/** Shells say nothing of these: their exit codes always count as the signal. */
const UNTOLD_SIGNALS: readonly number[] = [constants.signals.SIGINT, constants.signals.SIGPIPE];

/** How the script ended; undefined before that is known. */
export function readExit(text: string): ProcessExit | undefined {
  const code = /^(\d{1,3}) *$/.exec(text.slice(STARTED_WIDTH + 1, STARTED_WIDTH + 1 + CODE_WIDTH))?.[1];
  if (code === undefined) return undefined;
  const exitCode = Number(code);
  const signal = exitCode - SIGNALLED_ABOVE;
  if (signal < 1 || signal > LAST_SIGNAL) return { exitCode };
  return readSaid(text) !== '' || UNTOLD_SIGNALS.includes(signal) ? { exitCode, signal } : { exitCode };
}

/** The process; undefined before it is started. */
export function readStarted(text: string): StartedChildProcess | undefined {
  const words = /^(\d+) (\d+) *\n/.exec(text);
  if (words === null) return undefined;
  const [pid = 0, startTicks = 0] = words.slice(1).map(Number);
  return { pid, startTicks };
}

/** What the supervisor's shell said. */
export function readSaid(text: string): string {
  return text.slice(PENDING_TEXT.length).trim();
}
