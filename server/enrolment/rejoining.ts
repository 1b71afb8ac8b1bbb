// Rejoining: a node of the same role may take the name of a revoked one, so that a lost machine keeps its row, its
// settings and its history. Certificates from before the revocation stay revoked: their time of issue decides.
import { IsthmusError } from '../../contract/errors.ts';
import type { Parent } from '../../contract/nodes.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { JoinToken } from '../store/nodes/tokens.ts';
import type { StoreTransaction } from '../store/store.ts';
import { defaultRoutes } from '../topology/routes.ts';
import type { Topology } from '../topology/topology.ts';

/**
 * Throws ALREADY_EXISTS unless a node of this role may take the name. `feed` and what is known of sources are by name,
 * so that a package source has it alone.
 */
export async function checkNameFree(tx: StoreTransaction, name: string, role: Node['role']): Promise<void> {
  if ((await tx.packageSources.find(name)) !== undefined) {
    throw new IsthmusError('ALREADY_EXISTS', `${name} is a package source`, { field: 'name' });
  }
  const present = await tx.nodes.find(name);
  if (present !== undefined) checkRoleKept(present, role);
}

/** Throws ALREADY_EXISTS unless a node of this role may take the name that `present` has. */
export function checkRoleKept(present: Node, role: Node['role']): void {
  if (present.state === 'active') throw nameTaken(present.id);
  if (present.role !== role) {
    throw new IsthmusError(
      'ALREADY_EXISTS',
      `${present.id} was a ${present.role}; only a ${present.role} may take its name`,
      {
        field: 'name',
      },
    );
  }
}

export function nameTaken(node: string): IsthmusError {
  return new IsthmusError('ALREADY_EXISTS', `there is, or was, a node ${node}`, {
    field: 'name',
    remedy: 'Choose another name. If that node is lost, revoke it first: then a token for this name can reuse it.',
    action: { code: 'REVOKE_NODE', arguments: { node } },
  });
}

interface Rejoin {
  readonly token: JoinToken;
  readonly topology: Topology;
  readonly certificateNotAfter: number;
}

/**
 * Reactivates a revoked node at the site, below the parents and with the address of its new token. Its machine keeps
 * its settings; its routes change only when the token names others or the node has other parents now.
 */
export async function reactivateNode(
  tx: StoreTransaction,
  before: Node,
  { token, topology, certificateNotAfter }: Rejoin,
): Promise<void> {
  const { id } = before;
  const { site, parents, address } = token;
  await tx.nodes.reactivate({ id, site, parents, address, certificateNotAfter });
  const machine = await tx.machines.find(id);
  if (machine === undefined || (token.routes === null && areSame(before.parents, parents))) return;
  const routes = token.routes ?? defaultRoutes({ node: id, parents }, topology);
  await tx.machines.update(id, machine.version, { routes });
  await tx.events.append({ actor: id, type: 'machine.updated', subject: id, data: { routes } });
}

/** Whether these are the same nodes in the same order, whichever side dials. */
function areSame(before: readonly Parent[], now: readonly Parent[]): boolean {
  return before.length === now.length && before.every(({ node }, index) => node === now[index]?.node);
}
