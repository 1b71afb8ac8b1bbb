// The programs that a build runs, and what they say when they fail.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { BuildError, FAILED } from './build-error.ts';

interface ProgramOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Ends the program. */
  readonly signal?: AbortSignal | undefined;
  /** What helps when it fails. */
  readonly remedy: string;
}

/** What npm says before it comes to the reason. */
const REASON = /^(error: |npm error (?!code |errno |syscall ))/i;

/** Runs a program. BuildError with its own reason when it fails or is not there; throws the reason of the signal. */
export async function runProgram(program: string, args: readonly string[], options: ProgramOptions): Promise<void> {
  const { remedy, ...others } = options;
  try {
    await promisify(execFile)(program, args, { maxBuffer: 16 * 1024 * 1024, ...others });
  } catch (cause) {
    options.signal?.throwIfAborted();
    const what = errnoOf(cause) === 'ENOENT' ? 'is not on the PATH' : `failed: ${reasonOf(cause)}`;
    throw new BuildError(`${program} ${what}; ${remedy}`, FAILED, { cause });
  }
}

/** BuildError when there is no program of that name, before a long build needs it. */
export async function checkProgram(program: string, option: string): Promise<void> {
  await runProgram(program, ['--version'], { remedy: `install it, or leave out ${option}` });
}

function reasonOf(thrown: unknown): string {
  const { stderr = '', message } = thrown as { stderr?: string; message: string };
  const lines = (stderr.trim() === '' ? message : stderr).split('\n').filter((line) => line.trim() !== '');
  return (lines.find((line) => REASON.test(line)) ?? lines.at(-1) ?? '').replace(REASON, '').trim();
}
