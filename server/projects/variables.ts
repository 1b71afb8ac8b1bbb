// Creates, changes and deletes a project's variables, each with its event. A sensitive value is sealed before it
// reaches the store and is never shown again.
import { IsthmusError } from '../../contract/errors.ts';
import { isSlug, newId } from '../../lib/ids.ts';
import { isMaskable, MINIMUM_MASKABLE_LENGTH } from '../../lib/masking/masker.ts';
import type { Sealer } from '../../lib/secrets/seal.ts';
import { parseValue } from '../../lib/templates/parse.ts';
import { checkMatches, noSuch } from '../store/references.ts';
import type { Actor } from '../store/base.ts';
import type { Scope, Variable, VariablePatch } from '../store/projects/variables.ts';
import type { StoreTransaction } from '../store/store.ts';
import { LONGEST_VALUE_BYTES, sealIdentity } from './resolve.ts';
import { checkVariableName } from './variable-names.ts';

/** A scope as the API has it: empty lists mean everywhere. */
interface ScopeLists {
  readonly environments: readonly string[];
  readonly machines: readonly string[];
  readonly targetRoles: readonly string[];
}

export interface NewVariable extends Partial<ScopeLists> {
  readonly name: string;
  readonly value: string;
  readonly sensitive?: boolean | undefined;
}

export type VariableChange = { readonly [Field in keyof NewVariable]?: NewVariable[Field] | undefined };

export interface VariableView extends ScopeLists {
  readonly id: string;
  readonly project: string;
  readonly name: string;
  /** Null when sensitive. */
  readonly value: string | null;
  readonly sensitive: boolean;
  readonly version: number;
  readonly createdAt: number;
}

type Seal = Pick<Sealer, 'seal'>;

/** Adds a variable. */
export async function createVariable(
  tx: StoreTransaction,
  sealer: Seal,
  project: string,
  input: NewVariable,
  actor: Actor,
): Promise<Variable> {
  await tx.projects.get(project);
  const { name, value, sensitive = false } = input;
  await checkName(tx, project, name);
  checkValue(value, sensitive);
  const scope = await checkedScope(tx, { ...EVERYWHERE, ...input });
  const id = newId();
  const stored = storedValue(sealer, id, value, sensitive);
  const variable = await tx.variables.insert({ id, project, name, ...stored, scope, createdAt: Date.now() });
  await append(tx, actor, 'created', project, variable);
  return variable;
}

export interface VariableRef {
  readonly project: string;
  readonly id: string;
  readonly version: number;
}

/** Changes a variable. A sensitive one stays sensitive unless the change says otherwise and has a new value. */
export async function updateVariable(
  tx: StoreTransaction,
  sealer: Seal,
  { project, id, version }: VariableRef,
  change: VariableChange,
  actor: Actor,
): Promise<Variable> {
  const before = await tx.variables.get(project, id);
  if (change.name !== undefined) await checkName(tx, project, change.name, before);
  const present = listsOf(before.scope);
  const scope = await checkedScope(tx, {
    environments: change.environments ?? present.environments,
    machines: change.machines ?? present.machines,
    targetRoles: change.targetRoles ?? present.targetRoles,
  });
  const value = changedValue(sealer, before, change);
  const patch: VariablePatch = { ...(change.name === undefined ? {} : { name: change.name }), ...value, scope };
  const variable = await tx.variables.update(project, id, version, patch);
  await append(tx, actor, 'updated', project, variable);
  return variable;
}

/** Deletes a variable; releases keep their copies. */
export async function deleteVariable(
  tx: StoreTransaction,
  { project, id, version }: VariableRef,
  actor: Actor,
): Promise<void> {
  const variable = await tx.variables.get(project, id);
  await tx.variables.delete(project, id, version);
  await append(tx, actor, 'deleted', project, variable);
}

/** A variable as readers see it. */
export function variableView({ valueSealed, scope, ...variable }: Variable): VariableView {
  return { ...variable, ...listsOf(scope), sensitive: valueSealed !== null };
}

const EVERYWHERE: ScopeLists = { environments: [], machines: [], targetRoles: [] };

function listsOf(scope: Scope): ScopeLists {
  const { environment: environments = [], machine: machines = [], 'target-role': targetRoles = [] } = scope;
  return { environments, machines, targetRoles };
}

function changedValue(sealer: Seal, before: Variable, { value, sensitive }: VariableChange): VariablePatch {
  const wasSensitive = before.valueSealed !== null;
  const isSensitive = sensitive ?? wasSensitive;
  if (value === undefined && isSensitive === wasSensitive) return {};
  if (value === undefined && wasSensitive) {
    throw new IsthmusError('INVALID_FIELD', 'a sensitive value cannot be revealed: give a new one', {
      field: 'value',
    });
  }
  const present = value ?? before.value ?? '';
  checkValue(present, isSensitive);
  return storedValue(sealer, before.id, present, isSensitive);
}

function storedValue(sealer: Seal, id: string, value: string, sensitive: boolean) {
  if (!sensitive) return { value, valueSealed: null };
  return { value: null, valueSealed: sealer.seal(value, sealIdentity(id)) };
}

async function checkName(tx: StoreTransaction, project: string, name: string, self?: Variable): Promise<void> {
  const others = (await tx.variables.all(project)).filter(({ id }) => id !== self?.id).map((other) => other.name);
  checkVariableName(name, others);
}

function checkValue(value: string, sensitive: boolean): void {
  if (value.includes('\0') || Buffer.byteLength(value) > LONGEST_VALUE_BYTES) {
    const code = value.includes('\0') ? 'INVALID_FIELD' : 'VARIABLE_TOO_LARGE';
    throw new IsthmusError(code, `a value has at most ${LONGEST_VALUE_BYTES} bytes, none of them NUL`, {
      field: 'value',
    });
  }
  // An empty sensitive value hides nothing and is usually a mistake.
  if (sensitive && (value === '' || !isMaskable(value))) {
    const message = `a sensitive value has at least ${MINIMUM_MASKABLE_LENGTH} characters: shorter ones cannot be masked`;
    throw new IsthmusError('SENSITIVE_TOO_SHORT', message, { field: 'value' });
  }
  if (!sensitive) parseValue(value);
}

/** The scope of these lists; checks that every entry exists, and that each machine matches the other lists. */
async function checkedScope(tx: StoreTransaction, { environments, machines, targetRoles }: ScopeLists): Promise<Scope> {
  for (const [index, id] of environments.entries()) {
    if ((await tx.environments.find(id)) !== undefined) continue;
    throw noSuch('environment', id, `environments[${index}]`);
  }
  for (const [index, role] of targetRoles.entries()) {
    if (isSlug(role)) continue;
    throw new IsthmusError('INVALID_FIELD', 'a target role is a slug', { field: `targetRoles[${index}]` });
  }
  const known = new Map((await tx.machines.select({ ids: machines })).map((machine) => [machine.id, machine]));
  for (const [index, id] of machines.entries()) {
    const field = `machines[${index}]`;
    const machine = known.get(id);
    if (machine === undefined) throw noSuch('machine', id, field);
    checkMatches(machine, { environments, targetRoles }, field);
  }
  return { environment: unique(environments), machine: unique(machines), 'target-role': unique(targetRoles) };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

async function append(
  tx: StoreTransaction,
  actor: Actor,
  what: 'created' | 'updated' | 'deleted',
  project: string,
  { id, name, valueSealed, scope }: Variable,
): Promise<void> {
  const data = { project, name, sensitive: valueSealed !== null, scope };
  await tx.events.append({ actor, type: `variable.${what}`, subject: id, data });
}
