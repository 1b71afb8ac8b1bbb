// Checks variable names, and maps them to the environment variables that scripts see.
import { changesPrograms } from '../../lib/config/forbidden-env.ts';
import { IsthmusError } from '../../contract/errors.ts';

/** The names that the variable syntax reads inside `#{…}`, starting with a letter or underscore. */
const SHAPE = /^[A-Za-z_][A-Za-z0-9_.:[\]-]{0,199}$/;

/** Names that Isthmus and the tentacle set: who a script is and where it runs. */
const RESERVED: ReadonlySet<string> = new Set(['HOME', 'LOGNAME', 'PATH', 'PWD', 'SHELL', 'TMPDIR', 'USER']);
const RESERVED_PREFIX = 'ISTHMUS_';

/** The name of the environment variable: upper case, everything but letters and digits an underscore. */
export function envName(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

/** VARIABLE_NAME unless `name` may be used beside the project's `others`. */
export function checkVariableName(name: string, others: readonly string[]): void {
  if (!SHAPE.test(name)) {
    throw nameError(name, 'a name starts with a letter or _ and has letters, digits and _ . : [ ] -, at most 200');
  }
  const env = envName(name);
  if (RESERVED.has(env) || env.startsWith(RESERVED_PREFIX) || changesPrograms(env)) {
    throw nameError(name, `scripts would see it as ${env}, which changes how programs run`);
  }
  const taken = others.find((other) => other !== name && envName(other) === env);
  if (taken !== undefined) throw nameError(name, `scripts would see it as ${env}, like ${taken}`);
}

function nameError(name: string, why: string): IsthmusError {
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name;
  return new IsthmusError('VARIABLE_NAME', `variable ${JSON.stringify(shown)}: ${why}`, { field: 'name' });
}
