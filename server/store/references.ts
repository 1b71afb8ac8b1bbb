// The errors for references: to something that does not exist, to a node that is revoked or a path over it, and to what
// is to be deleted.
import { IsthmusError, rejoining, type RemedyAction } from '../../contract/errors.ts';
import type { Actor } from './base.ts';
import type { Machine } from './inventory/machines.ts';
import type { Node } from './nodes/nodes.ts';

/** INVALID_FIELD for a reference to something that does not exist. */
export function noSuch(kind: 'environment' | 'machine' | 'project' | 'site', id: string, field: string): IsthmusError {
  // Machines are not created, they join.
  const action: RemedyAction =
    kind === 'machine'
      ? { code: 'CHOOSE_EXISTING', arguments: { kind } }
      : { code: 'CHOOSE_OR_CREATE', arguments: { kind, id } };
  return new IsthmusError('INVALID_FIELD', `there is no ${kind} ${id}`, { field, action });
}

/** MACHINE_REVOKED for a reference to a revoked node, in a field of a request or on a path. */
export function revoked(node: Node, where: { readonly field: string } | { readonly hop: string }): IsthmusError {
  return new IsthmusError('MACHINE_REVOKED', `node ${node.id} has been revoked`, { ...where, action: rejoining(node) });
}

/** UNREACHABLE for a path over a revoked relay. It works again once the relay has joined again. */
export function overRevoked(relay: Node): IsthmusError {
  return new IsthmusError('UNREACHABLE', `relay ${relay.id} is revoked`, {
    hop: relay.id,
    remedy: `Relay ${relay.id} is revoked: take a path around it, or let it join again.`,
    action: rejoining(relay),
  });
}

interface Scope {
  /** Any of them; empty or absent: all. */
  readonly environments?: readonly string[] | undefined;
  readonly targetRoles?: readonly string[] | undefined;
}

/** Throws SCOPE_MISMATCH unless the machine is in one of the environments and has one of the roles. */
export function checkMatches(machine: Machine, { environments = [], targetRoles = [] }: Scope, field: string): void {
  const { id } = machine;
  const action: RemedyAction = { code: 'SHOW_EXISTING', arguments: { kind: 'machine', id } };
  if (environments.length > 0 && !environments.some((each) => machine.environments.includes(each))) {
    const where = environments.join(' or ');
    throw new IsthmusError('SCOPE_MISMATCH', `machine ${id} is not in ${where}`, { field, action });
  }
  if (targetRoles.length > 0 && !targetRoles.some((each) => machine.targetRoles.includes(each))) {
    const roles = targetRoles.join(' or ');
    throw new IsthmusError('SCOPE_MISMATCH', `machine ${id} does not have the role ${roles}`, { field, action });
  }
}

/** What refers to something, in words, and what ends that. */
export interface Reference {
  readonly text: string;
  readonly remedy?: string;
  readonly action?: RemedyAction;
}

/** How something is deleted. */
export interface DeleteOptions {
  readonly actor: Actor;
  /** Says what would go, and deletes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** References listed in an error; more would hide what to do. */
const MOST_LISTED = 5;

/** Throws IN_USE while something refers to `what`, which is to be deleted; the remedy is that of the first. */
export function checkUnused(what: string, references: readonly Reference[]): void {
  const [first] = references;
  if (first === undefined) return;
  const listed = references.slice(0, MOST_LISTED).map(({ text }) => text);
  const rest = references.length > MOST_LISTED ? ` and ${references.length - MOST_LISTED} more` : '';
  const { remedy, action } = first;
  throw new IsthmusError('IN_USE', `${what} is in use by ${listed.join(', ')}${rest}`, { remedy, action });
}
