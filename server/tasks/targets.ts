// Resolves the machines that a request targets, when it is accepted: a machine added later is not among them.
import { IsthmusError, rejoining, type RemedyAction } from '../../contract/errors.ts';
import type { LeftOutReason } from '../../contract/tasks.ts';
import { checkMatches, noSuch, revoked } from '../store/references.ts';
import { acceptsWork, type Machine, type MachineFilter } from '../store/inventory/machines.ts';
import type { StoreTransaction } from '../store/store.ts';

/** By id, environment and target role; a machine must match every field that is given, with any of its values. */
export interface TargetRequest {
  readonly machines?: readonly string[] | undefined;
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
}

/** A machine that matches a request and accepts no work. */
export interface LeftOut {
  readonly machine: string;
  readonly reason: LeftOutReason;
}

export interface Targets {
  /** Those that accept work. */
  readonly machines: readonly Machine[];
  /** The others, each with what brings it back. */
  readonly leftOut: readonly (LeftOut & Pick<Machine, 'targetRoles'> & { readonly action: RemedyAction })[];
}

type TargetTransaction = Pick<StoreTransaction, 'environments' | 'machines' | 'nodes'>;

/** Machines named in one message. */
const MOST_NAMED = 10;

/** The machines that match, those that accept work apart from the others. */
export async function selectTargets(
  tx: TargetTransaction,
  filter: Omit<MachineFilter, 'acceptsWork'>,
): Promise<Targets> {
  const { accepting = [], others = [] } = Object.groupBy(await tx.machines.select(filter), (machine) =>
    acceptsWork(machine) ? 'accepting' : 'others',
  );
  const leftOut: Targets['leftOut'][number][] = [];
  for (const { id, targetRoles, state } of others) {
    const how =
      state === 'revoked'
        ? { reason: 'revoked' as const, action: rejoining(await tx.nodes.get(id)) }
        : { reason: 'disabled' as const, action: enabling(id) };
    leftOut.push({ machine: id, targetRoles, ...how });
  }
  return { machines: accepting, leftOut };
}

/** `web-2 (disabled), web-3 (revoked)` */
export function leftOutText(leftOut: readonly LeftOut[]): string {
  return nameSome(leftOut.map(({ machine, reason }) => `${machine} (${reason})`));
}

/** The first names of a list, and how many more there are. */
export function nameSome(names: readonly string[]): string {
  const more = names.length > MOST_NAMED ? ` and ${names.length - MOST_NAMED} more` : '';
  return `${names.slice(0, MOST_NAMED).join(', ')}${more}`;
}

/** NO_TARGETS for a request that no machine matches, or only machines that accept no work; `where` says which match. */
export function noTargets(where: string, leftOut: Targets['leftOut'], field?: string): IsthmusError {
  if (leftOut.length === 0) return new IsthmusError('NO_TARGETS', `there is no machine${where}`, { field });
  const message = `every machine${where} is left out: ${leftOutText(leftOut)}`;
  const disabled = leftOut.find(({ reason }) => reason === 'disabled');
  const remedy = disabled === undefined ? 'Join a revoked machine again.' : 'Enable a machine.';
  return new IsthmusError('NO_TARGETS', message, { field, remedy, action: (disabled ?? leftOut[0])?.action });
}

function enabling(machine: string): RemedyAction {
  return { code: 'ENABLE_MACHINE', arguments: { machine } };
}

/**
 * The machines that match. NO_TARGETS when none of them accepts work. A machine given by id must exist, accept work
 * (MACHINE_DISABLED, MACHINE_REVOKED) and match the other fields (SCOPE_MISMATCH).
 */
export async function resolveTargets(tx: TargetTransaction, request: TargetRequest): Promise<Targets> {
  const { machines: ids, environments, targetRoles } = request;
  if (ids === undefined && environments === undefined && targetRoles === undefined) {
    throw new IsthmusError('INVALID_FIELD', 'name machines, environments or target roles', { field: 'machines' });
  }
  for (const [index, id] of (environments ?? []).entries()) {
    if ((await tx.environments.find(id)) === undefined) throw noSuch('environment', id, `environments[${index}]`);
  }
  const targets = await selectTargets(tx, { ids, environments, targetRoles });
  if (ids !== undefined) await checkEachMatches(tx, ids, targets, { environments, targetRoles });
  if (targets.machines.length > 0) return targets;
  if (ids !== undefined) throw new IsthmusError('NO_TARGETS', 'no machine is named', { field: 'machines' });
  const where = environments === undefined ? '' : ` in ${environments.join(' or ')}`;
  const having = targetRoles === undefined ? '' : ` with the role ${targetRoles.join(' or ')}`;
  const field = environments === undefined ? 'targetRoles' : 'environments';
  throw noTargets(`${where}${having}`, targets.leftOut, field);
}

async function checkEachMatches(
  tx: TargetTransaction,
  ids: readonly string[],
  targets: Targets,
  scope: Pick<TargetRequest, 'environments' | 'targetRoles'>,
): Promise<void> {
  const matching = new Set(targets.machines.map(({ id }) => id));
  if (ids.every((id) => matching.has(id))) return;
  const { machines, leftOut } = await selectTargets(tx, { ids });
  const accepting = new Map(machines.map((machine) => [machine.id, machine]));
  for (const [index, id] of ids.entries()) {
    const field = `machines[${index}]`;
    if (matching.has(id)) continue;
    const machine = accepting.get(id);
    if (machine !== undefined) checkMatches(machine, scope, field);
    const absent = leftOut.find(({ machine }) => machine === id);
    if (absent === undefined) throw noSuch('machine', id, field);
    if (absent.reason === 'revoked') throw revoked(await tx.nodes.get(id), { field });
    throw new IsthmusError('MACHINE_DISABLED', `machine ${id} is disabled`, { field, action: absent.action });
  }
}
