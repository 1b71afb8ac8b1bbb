// The exit file: the launcher records in it that a script started, and its exit code. It is created before the start
// and overwritten in place, so that there is room for it even when the disk is full by then.
//
//   eight characters and a line feed     the exit code, or "pending"
//   a line, padded                       pid, start ticks and time of the start, once it has started

/** The process that a launcher started. */
export interface StartedChildProcess {
  readonly pid: number;
  /** As in ChildProcessIdentity. */
  readonly startTicks: number;
  readonly startedAtMs: number;
}

const CODE_WIDTH = 8;
const STARTED_WIDTH = 63;

export const STARTED_OFFSET = CODE_WIDTH + 1;

/** The content before the start. */
export const PENDING_TEXT = `${'pending'.padEnd(CODE_WIDTH)}\n${' '.repeat(STARTED_WIDTH)}\n`;

export function exitText(exitCode: number): string {
  return `${String(exitCode).padEnd(CODE_WIDTH)}\n`;
}

export function startedText({ pid, startTicks, startedAtMs }: StartedChildProcess): string {
  return `${`${pid} ${startTicks} ${startedAtMs}`.padEnd(STARTED_WIDTH)}\n`;
}

/** The exit code; undefined before there is one. */
export function readExitCode(text: string): number | undefined {
  const code = /^(\d{1,3}) *\n/.exec(text)?.[1];
  return code === undefined ? undefined : Number(code);
}

/** The process; undefined before it is started. */
export function readStarted(text: string): StartedChildProcess | undefined {
  const words = /^[^\n]*\n(\d+) (\d+) (\d+) *\n/.exec(text);
  if (words === null) return undefined;
  const [pid = 0, startTicks = 0, startedAtMs = 0] = words.slice(1).map(Number);
  return { pid, startTicks, startedAtMs };
}
