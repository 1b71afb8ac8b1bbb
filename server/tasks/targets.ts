// Resolves the machines that a request targets, when it is accepted: a machine added later is not among them.
import { IsthmusError } from '../../contract/errors.ts';
import { noSuch } from '../store/references.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { StoreTransaction } from '../store/store.ts';

/** By id, environment and target role; a machine must match every field that is given, with any of its values. */
export interface TargetRequest {
  readonly machines?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
}

/**
 * The enabled machines that match. NO_TARGETS when there are none. A machine given by id must exist, be enabled
 * (MACHINE_DISABLED) and match the other fields (SCOPE_MISMATCH).
 */
export async function resolveTargets(
  tx: Pick<StoreTransaction, 'machines'>,
  request: TargetRequest,
): Promise<Machine[]> {
  const { machines: ids, environments, targetRoles } = request;
  if (ids === undefined && environments === undefined && targetRoles === undefined) {
    throw new IsthmusError('INVALID_FIELD', 'name machines, environments or target roles', { field: 'machines' });
  }
  const enabled = await tx.machines.select({ ids, environments, targetRoles, disabled: false });
  if (ids !== undefined) await checkEachMatches(tx, ids, enabled);
  if (enabled.length === 0) {
    if (ids !== undefined) throw new IsthmusError('NO_TARGETS', 'no machine is named', { field: 'machines' });
    const where = environments === undefined ? '' : ` in ${environments.join(' or ')}`;
    const having = targetRoles === undefined ? '' : ` with the role ${targetRoles.join(' or ')}`;
    throw new IsthmusError('NO_TARGETS', `there is no enabled machine${where}${having}`, {
      field: environments === undefined ? 'targetRoles' : 'environments',
    });
  }
  return enabled;
}

async function checkEachMatches(
  tx: Pick<StoreTransaction, 'machines'>,
  ids: readonly string[],
  matching: readonly Machine[],
): Promise<void> {
  const matches = new Set(matching.map(({ id }) => id));
  if (ids.every((id) => matches.has(id))) return;
  const known = new Map((await tx.machines.select({ ids })).map((machine) => [machine.id, machine]));
  const usable = new Set((await tx.machines.select({ ids, disabled: false })).map(({ id }) => id));
  for (const [index, id] of ids.entries()) {
    const field = `machines[${index}]`;
    const machine = known.get(id);
    if (machine === undefined) throw noSuch('machine', id, field);
    if (matches.has(id)) continue;
    if (usable.has(id)) {
      const message = `machine ${id} is in none of the environments, or has none of the roles, also named`;
      throw new IsthmusError('SCOPE_MISMATCH', message, { field });
    }
    const why = machine.disabled ? 'is disabled' : 'has been revoked';
    throw new IsthmusError('MACHINE_DISABLED', `machine ${id} ${why}`, { field });
  }
}
