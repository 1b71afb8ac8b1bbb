// Configured routes: which may be saved, the default ones over a node's parents, and what is wrong with a path.
import { IsthmusError } from '../../contract/errors.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import type { Parent } from '../../contract/nodes.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { SERVER } from '../store/nodes/parents.ts';
import { revoked } from '../store/references.ts';
import { routeOver, type FixedRoute } from '../store/inventory/routes.ts';
import { chainsUp } from './chains.ts';
import { MAX_HOPS } from '../../mesh/limits.ts';
import { routeName, type Topology } from './topology.ts';

/** More routes than this for one machine are a mistake in a script, not a preference. */
export const MAX_ROUTES = 8;

/** The relays that a path crosses, the server's neighbour first. */
export type Relays = readonly string[];

/** The target of a route: a node of the mesh, or one that is about to join below `parents`. */
export interface RouteTarget {
  /** Absent for a node that has not joined yet. */
  readonly node?: string;
  readonly parents: readonly Pick<Parent, 'node'>[];
}

/** The relays of each path over the target's parents, preferred parents first. */
export function relaysByParents({ parents }: RouteTarget, { nodes }: Pick<Topology, 'nodes'>): readonly Relays[] {
  return chainsUp(parents, nodes).map((chain) => chain.toReversed());
}

/** The default routes: one for each path over the parents. Throws ROUTE_INVALID when none leads to the server. */
export function defaultRoutes(target: RouteTarget, topology: Pick<Topology, 'nodes'>): FixedRoute[] {
  const paths = relaysByParents(target, topology);
  if (paths.length > 0) return paths.map(routeOver);
  const named = target.parents.map(({ node }) => node).join(', ');
  throw new IsthmusError('ROUTE_INVALID', `the parents (${named}) do not lead to the server`, { field: 'parents' });
}

/** Throws ROUTE_INVALID or MACHINE_REVOKED, naming the hop, unless every route may be saved for the target. */
export function checkRoutes(routes: readonly MachineRoute[], target: RouteTarget, topology: Topology): void {
  if (routes.length === 0 || routes.length > MAX_ROUTES) {
    throw new IsthmusError('ROUTE_INVALID', `a machine has 1 to ${MAX_ROUTES} routes`, { field: 'routes' });
  }
  for (const [index, route] of routes.entries()) {
    const faults = pathsOf(route, target, topology).map((relays) => faultOf(relays, target, topology));
    // For `auto`, one usable path is enough.
    const fault = faults.includes(undefined) ? undefined : faults[0];
    if (fault === undefined) continue;
    const named = route.kind === 'path' && fault.hop !== undefined;
    const field = named ? `routes[${index}].via[${fault.hop}]` : `routes[${index}]`;
    if (fault.revoked !== undefined) throw revoked(fault.revoked, { field });
    throw new IsthmusError('ROUTE_INVALID', fault.reason, { field });
  }
}

function pathsOf(route: MachineRoute, target: RouteTarget, topology: Topology): readonly Relays[] {
  if (route.kind === 'auto') return defaultRoutes(target, topology).map(relaysOf);
  return [relaysOf(route)];
}

/** The relays that a route names. */
export function relaysOf(route: FixedRoute): Relays {
  return route.kind === 'direct' ? [] : route.via;
}

interface Fault {
  readonly reason: string;
  /** The index of the relay at fault; absent when the path as a whole is wrong. */
  readonly hop?: number;
  /** The relay at fault, when that is why. */
  readonly revoked?: Node;
}

/** Why these relays cannot lead to the target; undefined when they can, once the links are up. */
export function faultOf(relays: Relays, target: RouteTarget, topology: Topology): Fault | undefined {
  if (relays.length > MAX_HOPS) return { reason: `a route crosses at most ${MAX_HOPS} relays`, hop: MAX_HOPS };
  let from = SERVER;
  for (const [hop, id] of relays.entries()) {
    const relay = topology.nodes.get(id);
    if (relay?.role !== 'relay') return { reason: `there is no relay ${id}`, hop };
    if (relay.state === 'revoked') return { reason: `relay ${id} is revoked`, hop, revoked: relay };
    if (relays.indexOf(id) !== hop) return { reason: `relay ${id} is crossed twice`, hop };
    if (!areNeighbours(from, id, relay.parents, topology)) return { reason: `${from} has no link to ${id}`, hop };
    from = id;
  }
  if (areNeighbours(from, target.node, target.parents, topology)) return undefined;
  return {
    reason: `the route ends at ${from}, which has no link to ${target.node ?? 'the new node'}`,
    ...lastHop(relays),
  };
}

function lastHop(relays: Relays): { hop?: number } {
  return relays.length === 0 ? {} : { hop: relays.length - 1 };
}

/** Whether `from` is a parent of `to`, or any report has a link between them, up or not. */
function areNeighbours(
  from: string,
  to: string | undefined,
  parents: RouteTarget['parents'],
  topology: Topology,
): boolean {
  if (parents.some((parent) => routeName(topology, parent.node) === from)) return true;
  return to !== undefined && topology.link(from, to) !== undefined;
}
