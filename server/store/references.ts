// The errors for a reference to something that does not exist, or to a node that is revoked.
import { IsthmusError, rejoining, type RemedyAction } from '../../contract/errors.ts';
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
