// The interpreters a script may name, as a table: PowerShell and Python come as further rows.
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { IsthmusError } from '../../lib/errors.ts';

interface Interpreter {
  /** The program, looked up in the agent's PATH. */
  readonly program: string;
  /** Arguments in front of the path of the body. */
  readonly options: readonly string[];
}

const table: Readonly<Record<string, Interpreter>> = {
  // Without its start-up files: what a script does must not depend on the dot files of whoever it runs as.
  bash: { program: 'bash', options: ['--noprofile', '--norc'] },
};

/** The command that runs a body with an interpreter; INTERPRETER_MISSING when it is not known or not installed. */
export async function interpreterCommand(name: string, path: string): Promise<readonly string[]> {
  const interpreter = Object.hasOwn(table, name) ? table[name] : undefined;
  if (interpreter === undefined) {
    const known = Object.keys(table).join(', ');
    throw new IsthmusError('INTERPRETER_MISSING', `there is no interpreter "${name}"; there is: ${known}`, {
      field: 'interpreter',
    });
  }
  const program = await findProgram(interpreter.program, path);
  if (program === undefined) {
    throw new IsthmusError('INTERPRETER_MISSING', `${interpreter.program} is not in the PATH of the tentacle`, {
      field: 'interpreter',
    });
  }
  return [program, ...interpreter.options];
}

/** The interpreters of the table that are installed. */
export async function installedInterpreters(path: string): Promise<string[]> {
  const found = await Promise.all(
    Object.entries(table).map(async ([name, { program }]) => ((await findProgram(program, path)) ? [name] : [])),
  );
  return found.flat();
}

/** The absolute path of a program in a PATH. */
export async function findProgram(program: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (!folder.startsWith('/')) continue;
    const candidate = join(folder, program);
    const executable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (executable) return candidate;
  }
  return undefined;
}
