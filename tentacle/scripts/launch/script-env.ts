// The environment variables of a script: an allow-list from the agent's own, and those of its payload. Never the rest
// of the agent's env, and no name that would make an interpreter load foreign code.
import { changesPrograms } from '../../../lib/config/forbidden-env.ts';
import { IsthmusError } from '../../../contract/errors.ts';
import { DEFAULT_PATH } from '../../../lib/programs.ts';

/** The only variables that a script inherits from the agent. */
export const INHERITED_NAMES = ['PATH', 'LANG', 'LC_ALL', 'LC_CTYPE', 'TZ'] as const;

const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws ENV_NAME_FORBIDDEN, with the field, when a script must not get a variable of its payload. */
export function checkEnv(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) {
    const field = `env.${name}`;
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

/** The whole env of a script. Its payload may set PATH or LANG, but not HOME, USER or LOGNAME. */
export function scriptEnv(
  inherited: Readonly<Record<string, string>>,
  owner: ScriptOwner,
  payload: Readonly<Record<string, string>>,
): Record<string, string> {
  const { name, home } = owner;
  return { PATH: DEFAULT_PATH, ...inherited, ...payload, HOME: home, USER: name, LOGNAME: name };
}
