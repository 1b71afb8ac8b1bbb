// Resolves the variables of a step on a machine: picks them by scope, unseals them, expands the expressions of plain
// ones. A sensitive value is text, whatever it contains, and no message quotes a word of it.
import { IsthmusError, type RemedyAction } from '../../contract/errors.ts';
import { checkMaskable, isMaskable } from '../../lib/masking/masker.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import { resolveVariables } from '../../lib/templates/substitution.ts';
import type { Variable } from '../store/projects/variables.ts';
import { variablesAt, type ScopeTarget } from './scope.ts';
import { envName } from './variable-names.ts';

/** Opens sealed values. */
export type Opener = Pick<Sealer, 'openText'>;

export interface ResolvedVariables {
  readonly values: Readonly<Record<string, string>>;
  /** Names whose values must be masked: sensitive ones, and those built from them. */
  readonly sensitiveNames: readonly string[];
  readonly sensitiveValues: readonly string[];
}

/** One environment variable of a child process: Linux allows 128 KiB, name and `=` included. */
export const LONGEST_VALUE_BYTES = 100 * 1024;
/** All of them together: Linux allows a quarter of the stack, 2 MiB, arguments included. */
const LONGEST_ENV_BYTES = 1024 * 1024;

/** The identity under which a variable's value is sealed; a copy in a release keeps it. */
export function sealIdentity(id: string): string {
  return `variables/${id}/value`;
}

/**
 * Resolves the variables for one target. VARIABLE_UNDEFINED names what is missing and where; VARIABLE_CYCLE and
 * VARIABLE_TOO_LARGE as in lib/templates/substitution.ts; SENSITIVE_TOO_SHORT and SENSITIVE_TOO_LARGE for values that
 * cannot be masked.
 */
export function resolveAt(variables: readonly Variable[], target: ScopeTarget, sealer: Opener): ResolvedVariables {
  const picked = variablesAt(variables, target);
  const sealed = new Set(picked.filter(({ valueSealed }) => valueSealed !== null).map(({ name }) => name));
  const raw = Object.fromEntries(picked.map((variable) => [variable.name, valueOf(variable, sealer)]));
  const { values, undefinedNames } = expand(raw, sealed, picked[0]?.project);
  if (undefinedNames.length > 0) throw notDefined(undefinedNames, target, picked[0]?.project);
  checkSizes(values);
  // A value only derived from a secret, such as by a condition, may be too short to mask; then it reveals nothing.
  const sensitiveNames = tainted(raw, sealed).filter((name) => sealed.has(name) || isMaskable(values[name]!));
  const sensitiveValues = [...new Set(sensitiveNames.map((name) => values[name]!))].filter((value) => value !== '');
  checkMaskable(sensitiveValues);
  return { values, sensitiveNames, sensitiveValues };
}

/** The environment variables of a script: the project's variables, then the facts that Isthmus adds. */
export function scriptEnv(
  values: Readonly<Record<string, string>>,
  facts: Readonly<Record<'project' | 'release' | 'environment' | 'machine' | 'task' | 'step', string>>,
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) env[envName(name)] = value;
  for (const [name, value] of Object.entries(facts)) env[`ISTHMUS_${name.toUpperCase()}`] = value;
  return env;
}

function valueOf({ id, value, valueSealed }: Variable, sealer: Opener): string {
  return valueSealed === null ? (value ?? '') : sealer.openText(valueSealed, sealIdentity(id));
}

/** Names whose expansion contains a sealed value, at any depth. */
function tainted(raw: Readonly<Record<string, string>>, sealed: ReadonlySet<string>): string[] {
  const found = new Set(sealed);
  const plain = Object.entries(raw).filter(([name]) => !sealed.has(name));
  const mentions = plain.map(([name, value]) => [name, mentionedIn(value)] as const);
  for (let grown = true; grown;) {
    const before = found.size;
    for (const [name, mentioned] of mentions) if (mentioned.some((other) => found.has(other))) found.add(name);
    grown = found.size > before;
  }
  return [...found].sort();
}

/** Every word inside `#{…}`: perhaps more than the names used, never fewer. */
function mentionedIn(value: string): string[] {
  return [...value.matchAll(/#\{([^}]*)\}/g)].flatMap(
    ([, tag = '']) => tag.match(/[A-Za-z0-9_][A-Za-z0-9_.:[\]-]*/g) ?? [],
  );
}

function checkSizes(values: Readonly<Record<string, string>>): void {
  let total = 0;
  for (const [name, value] of Object.entries(values)) {
    const bytes = Buffer.byteLength(value);
    total += bytes + name.length;
    if (bytes > LONGEST_VALUE_BYTES) {
      throw new IsthmusError(
        'VARIABLE_TOO_LARGE',
        `${name} has ${bytes} bytes; the maximum is ${LONGEST_VALUE_BYTES}`,
        {
          field: name,
        },
      );
    }
  }
  if (total <= LONGEST_ENV_BYTES) return;
  throw new IsthmusError(
    'VARIABLE_TOO_LARGE',
    `the variables have ${total} bytes; the maximum is ${LONGEST_ENV_BYTES}`,
  );
}

/** The values, with the project's name in the remedy for a cycle. */
function expand(
  raw: Readonly<Record<string, string>>,
  sealed: ReadonlySet<string>,
  project: string | undefined,
): ReturnType<typeof resolveVariables> {
  try {
    return resolveVariables(raw, sealed);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'VARIABLE_CYCLE') throw thrown;
    const { code, message, field, cause } = thrown;
    throw new IsthmusError(code, message, { field, cause, action: setting(project, field) });
  }
}

function notDefined(
  names: readonly string[],
  { environment, machine }: ScopeTarget,
  project: string | undefined,
): IsthmusError {
  const which = names.slice(0, 10).join(', ');
  const [field = ''] = names;
  return new IsthmusError('VARIABLE_UNDEFINED', `not defined for ${machine} in ${environment}: ${which}`, {
    field,
    action: setting(project, field.split(' | ')[0]),
  });
}

function setting(project = '', variable = ''): RemedyAction {
  return { code: 'SET_VARIABLE', arguments: { project, variable } };
}
