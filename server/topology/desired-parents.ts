// Desired parents: the parents that an operator sets for a node, and the checks on them. The node keeps its present
// parents, and the routes over them, until it reports that it has moved (reparent.ts).
import { IsthmusError } from '../../contract/errors.ts';
import { MAX_PARENTS, type DesiredParent, type Parent } from '../../contract/nodes.ts';
import { parseHostPort } from '../../lib/net/host-port.ts';
import { checkKeptHost } from '../../lib/net/network-address.ts';
import { SERVER, type DesiredParents } from '../store/nodes/parents.ts';
import type { Actor } from '../store/base.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { revoked } from '../store/references.ts';
import { routeOver } from '../store/inventory/routes.ts';
import type { StoreTransaction } from '../store/store.ts';
import { withAllAbove } from './chains.ts';
import { hasUsablePath } from './route-resolver.ts';
import { defaultRoutes, relaysByParents } from './routes.ts';
import { routeName, type Topology } from './topology.ts';

/** A parent as an operator gives it. */
export interface ParentInput {
  readonly node: string;
  /** Where it dials the node; without it the node dials it. */
  readonly dialAddress?: string | undefined;
}

/** A desired parent of a node that has joined. */
export interface NewParentInput extends ParentInput {
  /** Where the node dials it, when that is not the parent's known address. */
  readonly address?: string | undefined;
}

interface ParentsChange {
  /** The node's version when it was read. */
  readonly version: number;
  /** In order of preference. */
  readonly parents: readonly NewParentInput[];
  /** The live topology. */
  readonly topology: Topology;
  /** The address of the server's own port, as host:port, when it is known. */
  readonly serverAddress: string | undefined;
}

/**
 * Sets the desired parents of a node. Throws INVALID_FIELD or URL_FORBIDDEN for parents that no node can have,
 * MACHINE_REVOKED for a revoked node or parent, and PARENT_ROLE, PARENT_LOOP, PARENT_DIRECTION, ROUTE_INVALID or
 * WIRE_VERSION for parents that this node cannot have.
 */
export async function setParents(
  tx: StoreTransaction,
  id: string,
  { version, parents: input, topology, serverAddress }: ParentsChange,
  actor: Actor,
): Promise<Node> {
  const node = await tx.nodes.get(id);
  checkMovable(node);
  const parents = input.map((each, index) => desiredParent(each, index, { node, topology, serverAddress }));
  await checkParents(tx, parents);
  checkLoops(node, parents, topology);
  checkDirections(node, parents);
  await checkPaths(tx, node, parents, topology);
  const setAt = Math.max(Date.now(), (node.desired?.setAt ?? 0) + 1);
  const desired: DesiredParents = { parents, setAt, setBy: actor };
  await tx.nodes.setDesiredParents(id, version, desired);
  await tx.events.append({
    actor,
    type: 'node.reparent-requested',
    subject: id,
    data: { parents, before: node.parents },
  });
  return tx.nodes.get(id);
}

/** Throws INVALID_FIELD, URL_FORBIDDEN or MACHINE_REVOKED, naming the entry, unless a node may have these parents. */
export async function checkParents(
  tx: StoreTransaction,
  parents: readonly (Parent & { readonly address?: string | null })[],
): Promise<void> {
  const wrong = (field: string, reason: string): never => {
    throw new IsthmusError('INVALID_FIELD', reason, { field });
  };
  if (parents.length === 0 || parents.length > MAX_PARENTS) wrong('parents', `a node has 1 to ${MAX_PARENTS} parents`);
  for (const [index, { node, dialAddress, address = null }] of parents.entries()) {
    if (parents.findIndex((other) => other.node === node) !== index) {
      wrong(`parents[${index}].node`, `${node} is named twice`);
    }
    for (const [field, value] of Object.entries({ dialAddress, address })) {
      if (value !== null) checkAddress(value, `parents[${index}].${field}`);
    }
    if (node === SERVER) continue;
    const relay = await tx.nodes.find(node);
    if (relay?.role !== 'relay') {
      throw new IsthmusError('INVALID_FIELD', `there is no relay ${node}`, {
        field: `parents[${index}].node`,
        remedy: 'Choose a relay that exists and is active.',
        action: { code: 'CHOOSE_RELAY', arguments: {} },
      });
    }
    if (relay.state === 'revoked') throw revoked(relay, { field: `parents[${index}].node` });
    if (dialAddress === null && reportedParents(relay)?.listens === false) {
      throw new IsthmusError('PARENT_DIRECTION', `${node} has no port at which a node could dial it`, {
        field: `parents[${index}].node`,
        remedy: `Add \`listen: '[::]:8444'\` to the config.yaml of ${node} and start it again, or have it dial the node.`,
      });
    }
  }
}

/** Throws INVALID_FIELD or URL_FORBIDDEN for what no node may be told to dial. */
export function checkAddress(value: string, field: string): void {
  const address = parseHostPort(value);
  if (address === undefined) throw new IsthmusError('INVALID_FIELD', 'an address is host:port', { field });
  checkKeptHost(address.host, field);
}

/** Where children reach a parent, as host:port, if known: the server's address, or that of a relay. */
export function addressForChildren(
  parent: string,
  nodes: ReadonlyMap<string, Node>,
  serverAddress: string | undefined,
): string | undefined {
  if (parent === SERVER) return serverAddress;
  const relay = nodes.get(parent);
  if (relay === undefined) return undefined;
  const dialled = relay.parents.find(({ dialAddress }) => dialAddress !== null)?.dialAddress ?? undefined;
  return relay.address ?? dialled;
}

/** What a node last reported about its own parents. */
export interface ReportedParents {
  readonly parents: readonly { readonly node: string; readonly address: string }[];
  readonly parentsVersion: number;
  readonly parentsErrorCode: string;
  readonly listens: boolean;
}

/** Undefined when the node has not reported, or its version cannot receive parents. */
export function reportedParents({ report }: Pick<Node, 'report'>): ReportedParents | undefined {
  const {
    parents = [],
    parentsVersion = 0,
    parentsErrorCode = '',
    listens = false,
  } = (report ?? {}) as Partial<ReportedParents>;
  return parents.length === 0 ? undefined : { parents, parentsVersion, parentsErrorCode, listens };
}

/** Updates the routes of machines that follow their parents from the old parents to the new. */
export async function moveRoutes(tx: StoreTransaction, before: Topology, after: Topology, actor: Actor): Promise<void> {
  for (const machine of await tx.machines.select({})) {
    if (!followsParents(machine, before)) continue;
    const { id, version } = machine;
    const routes = defaultRoutes({ node: id, parents: after.nodes.get(id)?.parents ?? [] }, after);
    if (JSON.stringify(routes) === JSON.stringify(machine.routes)) continue;
    await tx.machines.update(id, version, { routes });
    await tx.events.append({ actor, type: 'machine.updated', subject: id, data: { routes } });
  }
}

/** The topology as it will be once a node has exactly these parents. */
export function withParents(topology: Topology, id: string, parents: readonly Parent[]): Topology {
  const node = topology.nodes.get(id);
  if (node === undefined) return topology;
  const names = parents.map((parent) => parent.node);
  const stays = (from: string, to: string): boolean => to !== id || names.includes(from);
  return {
    nodes: new Map(topology.nodes).set(id, { ...node, parents }),
    link: (from, to) => (stays(from, to) ? topology.link(from, to) : undefined),
    links: () => topology.links().filter(({ from, to }) => stays(from, to)),
  };
}

function checkMovable(node: Node): void {
  if (node.role === 'server') throw new IsthmusError('PARENT_ROLE', `${node.id} is a server, which has no parent`);
  if (node.state === 'revoked') throw revoked(node, { hop: node.id });
  if (node.report !== null && reportedParents(node) === undefined) {
    const version = node.softwareVersion ?? 'unknown';
    throw new IsthmusError(
      'WIRE_VERSION',
      `${node.id} runs version ${version}, which cannot receive parents from the server`,
      {
        hop: node.id,
        remedy: 'Upgrade it, or let it join again with a token that names the parents.',
      },
    );
  }
}

interface ParentLookup {
  readonly node: Node;
  readonly topology: Topology;
  readonly serverAddress: string | undefined;
}

/** A requested parent with the address that the node needs to dial it. */
function desiredParent(
  { node: parent, dialAddress, address }: NewParentInput,
  index: number,
  { node, topology, serverAddress }: ParentLookup,
): DesiredParent {
  const field = `parents[${index}].address`;
  if (dialAddress !== undefined) {
    if (address === undefined) return { node: parent, dialAddress, address: null };
    throw new IsthmusError('INVALID_FIELD', `either ${parent} dials ${node.id} or the reverse, not both`, { field });
  }
  const present = reportedParents(node)?.parents.find((each) => routeName(topology, each.node) === parent);
  const known = present === undefined || present.address === '' ? undefined : present.address;
  const found = address ?? known ?? addressForChildren(parent, topology.nodes, serverAddress);
  if (found !== undefined) return { node: parent, dialAddress: null, address: found };
  const relay = topology.nodes.get(parent);
  // checkParents reports a parent that is no active relay.
  if (parent !== SERVER && (relay?.role !== 'relay' || relay.state !== 'active')) {
    return { node: parent, dialAddress: null, address: null };
  }
  throw new IsthmusError('INVALID_FIELD', `the address at which ${node.id} reaches ${parent} is unknown: give it`, {
    field,
  });
}

/** Throws PARENT_LOOP when a node would be above itself, by present or by desired parents. */
function checkLoops({ id }: Node, parents: readonly Parent[], { nodes }: Topology): void {
  for (const [index, parent] of parents.entries()) {
    if (!withAllAbove(parent.node, nodes).has(id)) continue;
    const why = parent.node === id ? 'a node is not its own parent' : `${parent.node} is itself below ${id}`;
    throw new IsthmusError('PARENT_LOOP', why, { field: `parents[${index}].node` });
  }
}

function checkDirections(node: Node, parents: readonly DesiredParent[]): void {
  const listens = reportedParents(node)?.listens ?? true;
  for (const [index, { node: parent, dialAddress }] of parents.entries()) {
    if (dialAddress === null) continue;
    const reject = (why: string): never => {
      throw new IsthmusError('PARENT_DIRECTION', why, { field: `parents[${index}].dialAddress`, hop: node.id });
    };
    if (!listens) reject(`${node.id} has no port at which ${parent} could dial it`);
    const dials = node.parents.some((each) => each.node === parent && each.dialAddress === null);
    if (dials) reject(`${node.id} dials ${parent}; the reverse cannot be tried while that link is in use`);
  }
}

/** Throws ROUTE_INVALID when this node, a node below it or a machine would be left without a path. */
async function checkPaths(
  tx: StoreTransaction,
  { id }: Node,
  parents: readonly Parent[],
  before: Topology,
): Promise<void> {
  const reject = (why: string): never => {
    throw new IsthmusError('ROUTE_INVALID', why, { field: 'parents' });
  };
  const after = withParents(before, id, parents);
  // Throws when none of them leads to the server.
  defaultRoutes({ node: id, parents }, after);
  const hasPath = (node: Node, topology: Topology): boolean => relaysByParents(node, topology).length > 0;
  for (const node of after.nodes.values()) {
    if (node.state !== 'active' || node.role === 'server' || node.id === id) continue;
    if (hasPath(node, before) && !hasPath(node, after)) reject(`${node.id} would have no path to the server`);
  }
  for (const machine of await tx.machines.select({})) {
    if (followsParents(machine, before)) continue;
    if (canReach(machine, before) && !canReach(machine, after)) {
      reject(`the routes set for machine ${machine.id} would lead nowhere: change them first`);
    }
  }
}

function canReach({ id, routes }: Machine, topology: Topology): boolean {
  return hasUsablePath(routes, { node: id, parents: topology.nodes.get(id)?.parents ?? [] }, topology);
}

/** Whether a machine has the default routes over its parents, and not routes that an operator set. */
function followsParents({ id, routes }: Machine, topology: Topology): boolean {
  const parents = topology.nodes.get(id)?.parents ?? [];
  const paths = relaysByParents({ parents }, topology);
  return paths.length > 0 && JSON.stringify(routes) === JSON.stringify(paths.map(routeOver));
}
