// The environment a script gets: an allow-list of the agent's own, and what its payload names. Never the rest of the
// agent's environment, and no name that would make an interpreter load foreign code.
import { changesPrograms } from '../../../lib/config/forbidden-env.ts';
import { IsthmusError } from '../../../contract/errors.ts';

/** What a script inherits from the agent; everything else of the agent's environment stays with the agent. */
export const INHERITED_NAMES = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const;

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws ENV_NAME_FORBIDDEN, naming the variable, when a payload's environment may not be given to a script. */
export function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(environment)) {
    const field = `environment.${name}`;
    if (!VARIABLE_NAME.test(name)) {
      throw new IsthmusError('ENV_NAME_FORBIDDEN', `${JSON.stringify(name)} cannot name a variable`, { field });
    }
    if (changesPrograms(name)) {
      throw new IsthmusError('ENV_NAME_FORBIDDEN', `${name} would change what the interpreter loads`, { field });
    }
    if (value.includes('\0')) {
      throw new IsthmusError('ENV_NAME_FORBIDDEN', `the value of ${name} contains a NUL`, { field });
    }
  }
}

interface ScriptOwner {
  readonly name: string;
  readonly home: string;
}

/** The whole environment of a script. Its payload may set PATH or LANG; who it is, it may not. */
export function scriptEnv(
  inherited: Readonly<Record<string, string>>,
  owner: ScriptOwner,
  payload: Readonly<Record<string, string>>,
): Record<string, string> {
  const { name, home } = owner;
  return { PATH: DEFAULT_PATH, ...inherited, ...payload, HOME: home, USER: name, LOGNAME: name };
}
