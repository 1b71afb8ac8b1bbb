// Reparenting: moves nodes to their desired parents. Says what nodes and parents are assigned meanwhile, and marks the
// desired parents as applied once a node has moved.
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Parent } from '../../contract/nodes.ts';
import { SERVER, type DesiredParents } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import { moveRoutes, reportedParents, withParents } from './desired-parents.ts';
import { routeName, type Topology } from './topology.ts';

/**
 * A parent that should dial its child at another address tries that address for this long before it returns to the old
 * one. Once the link is down it alternates between the two at this interval.
 */
const DIAL_TRY_MS = 30_000;

/** The desired parents as they are sent to the node. */
export interface ParentsAssignment {
  readonly version: number;
  readonly parents: readonly { readonly node: string; readonly address: string }[];
}

/** The desired parents of each node that has not moved to them yet; `self` stands for every server. */
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

/** The parents that dial a node now, with their dial addresses: present parents, and desired ones. */
export function diallingParents({ id, parents, desired }: Node, topology: Topology, now: number): Parent[] {
  const added = desired?.parents.filter(({ node }) => parents.every((parent) => parent.node !== node)) ?? [];
  const present = parents.map((parent): Parent => {
    const address = desired?.parents.find(({ node }) => node === parent.node)?.dialAddress ?? null;
    if (desired === null || address === null || address === parent.dialAddress) return parent;
    return shouldTry({ id, parent: parent.node, address, desired }, topology, now)
      ? { ...parent, dialAddress: address }
      : parent;
  });
  return [...present, ...added].filter(({ dialAddress }) => dialAddress !== null);
}

/** Whether a parent dials the node at its desired address now, and not at the old one. */
function shouldTry(
  { id, parent, address, desired }: { id: string; parent: string; address: string; desired: DesiredParents },
  topology: Topology,
  now: number,
): boolean {
  const ageMs = now - desired.setAt;
  if (ageMs < DIAL_TRY_MS) return true;
  const link = topology.link(routeName(topology, parent), id);
  if (link?.state === 'up') return link.address === address;
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
      await store.transaction((tx) => applyDesired(tx, id, desired, topology));
      log.info({ node: id, parents: desired.parents.map(({ node: name }) => name) }, 'node has moved to other parents');
    } catch (err) {
      // The next run tries again; the other nodes do not wait for it.
      log.error({ err, node: id }, 'could not record that a node has moved to other parents');
    }
  }
}

async function applyDesired(
  tx: StoreTransaction,
  id: string,
  desired: DesiredParents,
  topology: Topology,
): Promise<void> {
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
  const reported = reportedParents(node);
  if (reported?.parentsVersion !== desired.setAt || reported.parents.length !== desired.parents.length) return false;
  return desired.parents.every(({ node: parent, address, dialAddress }, index) => {
    const { node: name = '', address: at = '' } = reported.parents[index] ?? {};
    if (routeName(topology, name) !== parent || at !== (address ?? '')) return false;
    // The node cannot tell whether a parent that already dialled it now does so at the desired address; the link can.
    const before = node.parents.find((each) => each.node === parent)?.dialAddress ?? null;
    if (dialAddress === null || before === null || before === dialAddress) return true;
    const link = topology.link(parent, node.id);
    return link?.state === 'up' && link.address === dialAddress;
  });
}
