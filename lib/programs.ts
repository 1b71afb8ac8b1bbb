// Programs of the system, found in its own folders, whatever PATH this process was given.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Where systems keep their programs. */
export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs a program of the system; resolves with its output, and rejects as `execFile` does. */
export type RunProgram = (program: string, ...words: readonly string[]) => Promise<string>;

const execute = promisify(execFile);

export const runProgram: RunProgram = async (program, ...words) => {
  const { stdout } = await execute(program, words, { env: { PATH: DEFAULT_PATH, LC_ALL: 'C.UTF-8' } });
  return stdout;
};
