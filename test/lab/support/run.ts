// Runs a command to its end, with its standard error in the message when it fails.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Returns the standard output of a command that must succeed. */
export async function run(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (thrown) {
    const { stderr = '', message } = thrown as { stderr?: string; message: string };
    throw new Error(`${command} ${args.join(' ')}: ${stderr.trim() === '' ? message : stderr.trim()}`, {
      cause: thrown,
    });
  }
}
