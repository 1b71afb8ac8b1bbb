// The interpreters that a script may name, as a table: PowerShell will be a further row.
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../../contract/errors.ts';
import { DEFAULT_PATH } from '../../../lib/programs.ts';

interface Interpreter {
  /** Its programs, the first that is in the agent's PATH. */
  readonly programs: readonly string[];
  /** Arguments in front of the path of the body. */
  readonly options: readonly string[];
}

const TABLE: Readonly<Record<string, Interpreter>> = {
  // No start-up files: a script must not depend on the dot files of its user.
  bash: { programs: ['bash'], options: ['--noprofile', '--norc'] },
  sh: { programs: ['sh'], options: [] },
  // Output is not buffered, so that the log is live; no compiled modules are left in folders that are deployed.
  python: { programs: ['python3', 'python'], options: ['-u', '-B'] },
};

/** The command that runs a body with an interpreter; INTERPRETER_MISSING when it is not known or not installed. */
export function interpreterCommand(name: string, path: string): readonly string[] {
  const interpreter = Object.hasOwn(TABLE, name) ? TABLE[name] : undefined;
  if (interpreter === undefined) {
    const known = Object.keys(TABLE).join(', ');
    throw new IsthmusError('INTERPRETER_MISSING', `there is no interpreter "${name}"; known: ${known}`, {
      field: 'interpreter',
    });
  }
  const program = findFirst(interpreter, path);
  if (program === undefined) {
    throw new IsthmusError('INTERPRETER_MISSING', `${name} is not in the PATH of the tentacle`, {
      field: 'interpreter',
    });
  }
  return [program, ...interpreter.options];
}

/** The path of a program that the agent itself needs to start scripts; INTERPRETER_MISSING names its package. */
export function requireProgram(program: string, ofPackage: string): string {
  const found = findProgram(program, DEFAULT_PATH);
  if (found !== undefined) return found;
  throw new IsthmusError('INTERPRETER_MISSING', `starting a script needs ${program} (package ${ofPackage})`);
}

/** The interpreters of the table that are installed, with the paths of their programs. */
export function installedInterpreters(path: string): { readonly name: string; readonly path: string }[] {
  return Object.entries(TABLE).flatMap(([name, interpreter]) => {
    const program = findFirst(interpreter, path);
    return program === undefined ? [] : [{ name, path: program }];
  });
}

function findFirst({ programs }: Interpreter, path: string): string | undefined {
  return programs.map((program) => findProgram(program, path)).find((found) => found !== undefined);
}

/** Caches where programs were found: most folders of a PATH do not have them, and every script needs one. */
const foundBefore = new LRUCache<string, string>({ max: 100 });

/** The absolute path of a program in a PATH. A cached path is used for as long as it is executable. */
export function findProgram(program: string, path: string): string | undefined {
  const key = `${program}\0${path}`;
  const before = foundBefore.get(key);
  if (before !== undefined && isExecutable(before)) return before;
  const found = path
    .split(delimiter)
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => join(folder, program))
    .find(isExecutable);
  if (found === undefined) foundBefore.delete(key);
  else foundBefore.set(key, found);
  return found;
}

function isExecutable(path: string): boolean {
  // Checked first: most paths do not exist, and an error costs ten times as much.
  if (!existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
