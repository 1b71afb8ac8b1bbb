// Nodes that are to go over to other parents: what they and those parents are told meanwhile, and the moment at which
// it is done.
import type { Logger } from '../../lib/telemetry/log.ts';
import { SERVER, type Parent, type DesiredParents } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { moveRoutes, reportedParents, withParents } from './desired-parents.ts';
import { routeName, type Topology } from './topology.ts';

/**
 * A parent that dials a node, and is to dial it at another address, does so for this long before it goes back to the
 * one before. Once the link is down it tries both, in turns of this length.
 */
const DIAL_TRY_MS = 30_000;

/** The parents that a node is to go over to, as it is told of them. */
export interface ParentsAssignment {
  readonly version: number;
  readonly parents: readonly { readonly node: string; readonly address: string }[];
}

/** Which nodes are to go over to which parents; `self` stands for every server. */
export function parentsAssignments(topology: Topology, self: string): Map<string, ParentsAssignment> {
  const assignments = new Map<string, ParentsAssignment>();
  for (const { id, state, desired } of topology.nodes.values()) {
    if (state !== 'active' || desired === null) continue;
    const parents = desired.parents.map(({ node, address }) => ({
      node: node === SERVER ? self : node,
      address: address ?? '',
    }));
    assignments.set(id, { version: desired.setAt, parents });
  }
  return assignments;
}

/** The parents that dial a node now, with the addresses: those that it has, and those that it is to go over to. */
export function diallingParents({ id, parents, desired }: Node, topology: Topology, now: number): Parent[] {
  const added = desired?.parents.filter(({ node }) => parents.every((parent) => parent.node !== node)) ?? [];
  const present = parents.map((parent): Parent => {
    const wanted = desired?.parents.find(({ node }) => node === parent.node)?.dialAddress ?? null;
    if (desired === null || wanted === null || wanted === parent.dialAddress) return parent;
    return isTried({ id, parent: parent.node, wanted, desired }, topology, now)
      ? { ...parent, dialAddress: wanted }
      : parent;
  });
  return [...present, ...added].filter(({ dialAddress }) => dialAddress !== null);
}

function isTried(
  { id, parent, wanted, desired }: { id: string; parent: string; wanted: string; desired: DesiredParents },
  topology: Topology,
  now: number,
): boolean {
  const ageMs = now - desired.setAt;
  if (ageMs < DIAL_TRY_MS) return true;
  const link = topology.link(routeName(topology, parent), id);
  if (link?.up === true) return link.address === wanted;
  return Math.floor(ageMs / DIAL_TRY_MS) % 2 === 0;
}

/** Marks nodes that have moved to their desired parents. Routes follow the new parents from now on. */
export async function markApplied(
  { store, log }: { readonly store: Store; readonly log: Logger },
  topology: Topology,
): Promise<void> {
  for (const node of [...topology.nodes.values()]) {
    const { id, desired } = node;
    if (desired === null || node.state !== 'active' || !hasApplied(node, desired, topology)) continue;
    try {
      await store.transaction((tx) => take(tx, id, desired, topology));
      log.info({ node: id, parents: desired.parents.map(({ node: name }) => name) }, 'node has moved to other parents');
    } catch (err) {
      // The next turn tries again; the other nodes do not wait for it.
      log.error({ err, node: id }, 'it is not noted that a node has moved to other parents');
    }
  }
}

async function take(tx: StoreTransaction, id: string, desired: DesiredParents, topology: Topology): Promise<void> {
  const present = await tx.nodes.get(id);
  if (present.desired?.setAt !== desired.setAt || present.state !== 'active') return;
  const parents = desired.parents.map(({ node, dialAddress }) => ({ node, dialAddress }));
  await tx.nodes.recordReparented(id, parents);
  await tx.events.append({
    actor: id,
    type: 'node.reparented',
    subject: id,
    data: { parents, before: present.parents },
  });
  await moveRoutes(tx, topology, withParents(topology, id, parents), id);
}

function hasApplied(node: Node, desired: DesiredParents, topology: Topology): boolean {
  const said = reportedParents(node);
  if (said?.parentsVersion !== desired.setAt || said.parents.length !== desired.parents.length) return false;
  return desired.parents.every(({ node: parent, address, dialAddress }, index) => {
    const { node: name = '', address: at = '' } = said.parents[index] ?? {};
    if (routeName(topology, name) !== parent || at !== (address ?? '')) return false;
    // Of a parent that dials it as before, but elsewhere, the node cannot tell.
    const before = node.parents.find((each) => each.node === parent)?.dialAddress ?? null;
    if (dialAddress === null || before === null || before === dialAddress) return true;
    const link = topology.link(parent, node.id);
    return link?.up === true && link.address === dialAddress;
  });
}
