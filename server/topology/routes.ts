// Routes of machines: checked when saved (do the relays exist, does the path lead there) and when used (is it still so).
import { IsthmusError } from '../../lib/errors.ts';
import type { Route } from '../store/routes.ts';
import { linkBetween, routeName, SERVER, type Topology } from './topology.ts';

/** Hops a tunnel may cross; every node on the way counts them too. */
export const MAX_HOPS = 8;

/** More routes than this for one machine is a mistake in a script, not a preference. */
export const MAX_ROUTES = 8;

/** What a route leads to: a machine's node, or one that is about to join below `parent`. */
export interface RouteTarget {
  /** Absent for a node that has not joined yet. */
  readonly node?: string;
  /** 'server' or a relay's id. */
  readonly parent: string | null;
}

/** The relays a route crosses, next first. */
export function viaOf(route: Route): readonly string[] {
  return route.kind === 'direct' ? [] : route.via;
}

/** Throws ROUTE_INVALID, naming the hop, unless every route may be saved for the target. */
export function checkRoutes(routes: readonly Route[], target: RouteTarget, topology: Topology): void {
  if (routes.length === 0 || routes.length > MAX_ROUTES) {
    throw new IsthmusError('ROUTE_INVALID', `a machine has 1 to ${MAX_ROUTES} routes`, { field: 'routes' });
  }
  for (const [index, route] of routes.entries()) {
    const fault = faultOf(viaOf(route), target, topology);
    if (fault === undefined) continue;
    const field = fault.hop === undefined ? `routes[${index}]` : `routes[${index}].via[${fault.hop}]`;
    throw new IsthmusError('ROUTE_INVALID', fault.reason, { field });
  }
}

/** The route that follows the parents from the target up to the server. */
export function defaultRoutes(target: RouteTarget, topology: Topology): Route[] {
  const via = parentChain(target.parent, topology);
  return via.length === 0 ? [{ kind: 'direct' }] : [{ kind: 'path', via }];
}

/** The relays above a node whose parent is `parent`, the server's neighbour first. */
export function parentChain(parent: string | null, topology: Topology): string[] {
  const chain: string[] = [];
  for (let at = parent; at !== null && routeName(topology, at) !== SERVER && at !== SERVER;) {
    const relay = topology.nodes.get(at);
    if (relay === undefined || chain.includes(at) || chain.length >= MAX_HOPS) {
      throw new IsthmusError('ROUTE_INVALID', `the parents of ${String(parent)} do not lead to the server`, {
        field: 'parent',
      });
    }
    chain.unshift(at);
    at = relay.parent;
  }
  return chain;
}

/**
 * The paths to a machine in the order its routes prefer. Those that cross what is gone or revoked are left out; those
 * with a link known to be down come last, because it may be up again when they are tried. Empty: no route can be used.
 */
export function pathsFor(
  machine: { readonly id: string; readonly routes: readonly Route[] },
  topology: Topology,
): readonly (readonly string[])[] {
  const parent = topology.nodes.get(machine.id)?.parent ?? null;
  const usable = machine.routes
    .map(viaOf)
    .filter((via) => faultOf(via, { node: machine.id, parent }, topology) === undefined);
  const up = usable.filter((via) => isUp([...via, machine.id], topology));
  return [...up, ...usable.filter((via) => !up.includes(via))];
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
    if (!areNeighbours(from, id, relay.parent, topology)) return { reason: `${from} has no link to ${id}`, hop };
    from = id;
  }
  if (areNeighbours(from, target.node, target.parent, topology)) return undefined;
  return {
    reason: `the route ends at ${from}, which has no link to ${target.node ?? 'the new node'}`,
    ...lastHop(via),
  };
}

function lastHop(via: readonly string[]): { hop?: number } {
  return via.length === 0 ? {} : { hop: via.length - 1 };
}

/** Whether the tree, or any report, has a link from `from` to `to`, up or not. */
function areNeighbours(from: string, to: string | undefined, parent: string | null, topology: Topology): boolean {
  if (parent !== null && routeName(topology, parent) === from) return true;
  return to !== undefined && linkBetween(topology, from, to) !== undefined;
}

/** Whether no link along the nodes is reported down. A link that nobody reports counts as up: it may be. */
function isUp(nodes: readonly string[], topology: Topology): boolean {
  return nodes.every((to, index) => linkBetween(topology, nodes[index - 1] ?? SERVER, to)?.up !== false);
}
