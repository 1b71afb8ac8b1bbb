// Routes of machines: checked when saved (do the relays exist, does the path lead there) and when used (is it still
// so).
import { IsthmusError } from '../../lib/errors.ts';
import { chainsUp, MAX_HOPS, SERVER, type Parent } from '../store/parents.ts';
import { wayOver, type Route, type Way } from '../store/routes.ts';
import { linkBetween, routeName, type Topology } from './topology.ts';

/** More routes than this for one machine is a mistake in a script, not a preference. */
export const MAX_ROUTES = 8;

/** What a route leads to: a machine's node, or one that is about to join below `parents`. */
export interface RouteTarget {
  /** Absent for a node that has not joined yet. */
  readonly node?: string;
  readonly parents: readonly Pick<Parent, 'node'>[];
}

/** The relays that each way of a route crosses, next first. */
function pathsOf(route: Route, target: RouteTarget, topology: Topology): readonly (readonly string[])[] {
  if (route.kind === 'auto') return waysDown(target, topology);
  return [route.kind === 'direct' ? [] : route.via];
}

/** Throws ROUTE_INVALID, naming the hop, unless every route may be saved for the target. */
export function checkRoutes(routes: readonly Route[], target: RouteTarget, topology: Topology): void {
  if (routes.length === 0 || routes.length > MAX_ROUTES) {
    throw new IsthmusError('ROUTE_INVALID', `a machine has 1 to ${MAX_ROUTES} routes`, { field: 'routes' });
  }
  for (const [index, route] of routes.entries()) {
    const faults = pathsOf(route, target, topology).map((via) => faultOf(via, target, topology));
    // Of `auto`, one way that can be gone is enough.
    const fault = faults.includes(undefined) ? undefined : faults[0];
    if (fault === undefined) continue;
    const named = route.kind === 'path' && fault.hop !== undefined;
    const field = named ? `routes[${index}].via[${fault.hop}]` : `routes[${index}]`;
    throw new IsthmusError('ROUTE_INVALID', fault.reason, { field });
  }
}

/**
 * The routes that follow the parents from the target up to the server: one for each way up, preferred parents first.
 */
export function defaultRoutes(target: RouteTarget, topology: Topology): Way[] {
  return waysDown(target, topology).map(wayOver);
}

/**
 * The relays to cross to a node, the server's neighbour first, for each of its ways up, those of preferred parents
 * first. ROUTE_INVALID when no way leads to the server.
 */
export function waysDown(target: RouteTarget, topology: Topology): string[][] {
  const ways = chainsUp(target.parents, topology.nodes).map((chain) => chain.toReversed());
  if (ways.length > 0) return ways;
  const named = target.parents.map(({ node }) => node).join(', ');
  throw new IsthmusError('ROUTE_INVALID', `the parents (${named}) do not lead to the server`, { field: 'parents' });
}

/** The paths in their order, but those with a link known to be down last: it may be up again when they are tried. */
export function liveFirst(
  paths: readonly (readonly string[])[],
  node: string,
  topology: Topology,
): readonly (readonly string[])[] {
  const up = paths.filter((path) => isUp([...path, node], topology));
  return [...up, ...paths.filter((path) => !up.includes(path))];
}

/**
 * The paths to a machine in the order its routes prefer, live ones first. Those that cross what is gone or revoked are
 * left out. Empty: no route can be used.
 */
export function pathsFor(
  machine: { readonly id: string; readonly routes: readonly Route[] },
  topology: Topology,
): readonly (readonly string[])[] {
  const target = { node: machine.id, parents: topology.nodes.get(machine.id)?.parents ?? [] };
  const named = machine.routes.flatMap((route) => pathsOf(route, target, topology));
  const unique = [...new Map(named.map((via) => [via.join(), via])).values()];
  const usable = unique.filter((via) => faultOf(via, target, topology) === undefined);
  return liveFirst(usable, machine.id, topology);
}

interface Fault {
  readonly reason: string;
  /** The index in `via`; absent when the route as a whole is wrong. */
  readonly hop?: number;
}

function faultOf(via: readonly string[], target: RouteTarget, topology: Topology): Fault | undefined {
  if (via.length > MAX_HOPS) return { reason: `a route crosses at most ${MAX_HOPS} relays`, hop: MAX_HOPS };
  let from = SERVER;
  for (const [hop, id] of via.entries()) {
    const relay = topology.nodes.get(id);
    if (relay?.role !== 'relay') return { reason: `there is no relay ${id}`, hop };
    if (relay.state === 'revoked') return { reason: `relay ${id} is revoked`, hop };
    if (via.indexOf(id) !== hop) return { reason: `relay ${id} is crossed twice`, hop };
    if (!areNeighbours(from, id, relay.parents, topology)) return { reason: `${from} has no link to ${id}`, hop };
    from = id;
  }
  if (areNeighbours(from, target.node, target.parents, topology)) return undefined;
  return {
    reason: `the route ends at ${from}, which has no link to ${target.node ?? 'the new node'}`,
    ...lastHop(via),
  };
}

function lastHop(via: readonly string[]): { hop?: number } {
  return via.length === 0 ? {} : { hop: via.length - 1 };
}

/** Whether the tree, or any report, has a link from `from` to `to`, up or not. */
function areNeighbours(
  from: string,
  to: string | undefined,
  parents: RouteTarget['parents'],
  topology: Topology,
): boolean {
  if (parents.some((parent) => routeName(topology, parent.node) === from)) return true;
  return to !== undefined && linkBetween(topology, from, to) !== undefined;
}

/** Whether no link along the nodes is reported down. A link that nobody reports counts as up: it may be. */
export function isUp(nodes: readonly string[], topology: Topology): boolean {
  return nodes.every((to, index) => linkBetween(topology, nodes[index - 1] ?? SERVER, to)?.up !== false);
}
