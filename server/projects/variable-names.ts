// What a variable may be called, and the environment variable a script sees it as.
import { changesPrograms } from '../../lib/config/forbidden-env.ts';
import { IsthmusError } from '../../contract/errors.ts';

/** As the variable syntax reads names inside `#{…}`, beginning with a letter or underscore. */
const SHAPE = /^[A-Za-z_][A-Za-z0-9_.:[\]-]{0,199}$/;

/** Names that say who a script is and where it runs; the tentacle and Isthmus set them. */
const RESERVED: ReadonlySet<string> = new Set(['HOME', 'LOGNAME', 'PATH', 'PWD', 'SHELL', 'TMPDIR', 'USER']);
const RESERVED_BEGINNING = 'ISTHMUS_';

/** The environment variable that carries it: upper case, everything else than letters and digits an underscore. */
export function envName(name: string): string {
  return name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_');
}

/** VARIABLE_NAME unless `name` may be used beside the project's `others`. */
export function checkVariableName(name: string, others: readonly string[]): void {
  if (!SHAPE.test(name)) {
    throw refused(name, 'a name begins with a letter and has letters, digits and _ . : [ ] -, at most 200');
  }
  const asEnvironment = envName(name);
  if (RESERVED.has(asEnvironment) || asEnvironment.startsWith(RESERVED_BEGINNING) || changesPrograms(asEnvironment)) {
    throw refused(name, `scripts would see it as ${asEnvironment}, which changes how programs run`);
  }
  const taken = others.find((other) => other !== name && envName(other) === asEnvironment);
  if (taken !== undefined) throw refused(name, `scripts would see it as ${asEnvironment}, as they do ${taken}`);
}

function refused(name: string, why: string): IsthmusError {
  const shown = name.length > 60 ? `${name.slice(0, 60)}…` : name;
  return new IsthmusError('VARIABLE_NAME', `variable ${JSON.stringify(shown)}: ${why}`, { field: 'name' });
}
