// The route resolver: which paths lead to a machine, in which order. Dispatch, health checks, trace and ping all use
// its paths in its order; nothing else orders the paths to a machine.
import { LRUCache } from 'lru-cache';
import type { IsthmusError } from '../../contract/errors.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import type { PathState } from '../../contract/mesh.ts';
import { SERVER } from '../store/nodes/parents.ts';
import { routeOver, type DispatchRoute } from '../store/inventory/routes.ts';
import { overRevoked, revoked } from '../store/references.ts';
import { costMs, preferTaken } from './cost.ts';
import { denialOf } from './denied-node.ts';
import { faultOf, relaysByParents, relaysOf, type Relays, type RouteTarget } from './routes.ts';
import type { Topology } from './topology.ts';

export interface ResolvedPath {
  /** The relays to cross, the server's neighbour first; none when the server has the link itself. */
  readonly relays: Relays;
  /** How long a call over it is expected to wait, in milliseconds. */
  readonly cost: number;
  readonly state: PathState;
  /** Why the path is not up; null when it is. */
  readonly reason: string | null;
  /** What every call over it would fail with, when a relay of it is revoked. */
  readonly error?: IsthmusError;
  /** What it means when a call over it fails: a node on it, or its end, is denied. */
  readonly cause?: IsthmusError;
}

export interface Resolution {
  /** In the order to try them. */
  readonly paths: readonly ResolvedPath[];
}

export interface RouteResolver {
  /**
   * The paths that a machine's routes name, or those over the parents of another node; none when there is no such node.
   * Throws MACHINE_REVOKED once it is revoked.
   */
  resolve(id: string): Resolution;
  /** Calls over this path got no answer, although its links are up: for a minute it is tried last, as one that is down. */
  fell(id: string, relays: Relays): void;
}

/** What is known to work comes first. No path is left out: one that is down may be up when it is tried. */
const RANKS: Readonly<Record<PathState, number>> = { up: 0, unknown: 1, down: 2, unusable: 3 };

/** For how many machines the resolver remembers which path `auto` took. */
const MOST_REMEMBERED = 5_000;

/** How long a path without answers is tried last. */
const FALLEN_MS = 60_000;

interface ResolverTopology extends Topology {
  readonly routes: ReadonlyMap<string, readonly MachineRoute[]>;
}

/**
 * Resolves against the topology as it is at each call. It remembers which path `auto` took to a machine, and for a minute
 * which paths fell silent.
 */
export function createRouteResolver(topology: ResolverTopology): RouteResolver {
  const taken = new LRUCache<string, Relays>({ max: MOST_REMEMBERED });
  const fallen = new LRUCache<string, true>({ max: MOST_REMEMBERED, ttl: FALLEN_MS });
  const keyOf = (id: string, relays: Relays): string => JSON.stringify([id, ...relays]);

  function describeTo(node: string, paths: readonly Relays[], target: RouteTarget): ResolvedPath[] {
    return describe(paths, target, topology).map((path) => {
      const isSilent = RANKS[path.state] === 0 && fallen.has(keyOf(node, path.relays));
      return isSilent ? { ...path, state: 'down', reason: 'calls over it got no answer (TUNNEL_SILENT)' } : path;
    });
  }

  /** The paths of `auto`: least cost first, but the path taken last stays first until another costs clearly less. */
  function autoPaths(target: RouteTarget & { readonly node: string }): readonly ResolvedPath[] {
    const byCost = describeTo(target.node, relaysByParents(target, topology), target).toSorted(
      (a, b) => a.cost - b.cost,
    );
    const paths = preferTaken(byState(byCost), taken.get(target.node));
    if (paths[0] !== undefined) taken.set(target.node, paths[0].relays);
    return paths;
  }

  return {
    resolve(id) {
      const node = topology.nodes.get(id);
      if (node === undefined) return { paths: [] };
      if (node.state === 'revoked') throw revoked(node, { hop: id });
      const target = { node: id, parents: node.parents };
      const routes = topology.routes.get(id);
      if (routes === undefined) return { paths: pathsByParents(target, topology) };
      const named = routes.flatMap((route) =>
        route.kind === 'auto' ? autoPaths(target) : describeTo(id, [relaysOf(route)], target),
      );
      return { paths: byState(distinct(named)) };
    },
    fell(id, relays) {
      fallen.set(keyOf(id, relays), true);
    },
  };
}

/** The paths to a machine as fixed routes, the form that tasks use. */
export function dispatchRoutes(resolver: RouteResolver): (machine: string) => Promise<readonly DispatchRoute[]> {
  const toRoute = ({ relays, error, cause }: ResolvedPath): DispatchRoute => ({
    ...routeOver(relays),
    ...(error === undefined ? {} : { error }),
    ...(cause === undefined ? {} : { cause }),
  });
  return (machine) => Promise.try(() => resolver.resolve(machine).paths.map(toRoute));
}

/** The paths over the target's parents: preferred parents first, paths that are down last. */
export function pathsByParents(target: RouteTarget, topology: Topology): readonly ResolvedPath[] {
  return byState(describe(relaysByParents(target, topology), target, topology));
}

/** Whether at least one of these routes can be used, now or once its links are up. */
export function hasUsablePath(routes: readonly MachineRoute[], target: RouteTarget, topology: Topology): boolean {
  return routes.some((route) => {
    const paths = route.kind === 'auto' ? relaysByParents(target, topology) : [relaysOf(route)];
    return paths.some((relays) => faultOf(relays, target, topology) === undefined);
  });
}

function describe(paths: readonly Relays[], target: RouteTarget, topology: Topology): ResolvedPath[] {
  return paths.map((relays) => {
    const cost = costMs(relays, target.node, topology);
    const fault = faultOf(relays, target, topology);
    if (fault !== undefined) {
      const { reason, revoked: relay } = fault;
      return { relays, cost, state: 'unusable', reason, ...(relay === undefined ? {} : { error: overRevoked(relay) }) };
    }
    return { relays, cost, ...stateOf(relays, target.node, topology) };
  });
}

function stateOf(
  relays: Relays,
  node: string | undefined,
  topology: Topology,
): Pick<ResolvedPath, 'state' | 'reason' | 'cause'> {
  let unknown: string | undefined;
  let denial: IsthmusError | undefined;
  let from = SERVER;
  for (const to of node === undefined ? relays : [...relays, node]) {
    const link = topology.link(from, to);
    denial ??= denialOf(topology.nodes.get(to));
    if (link?.state === 'down') {
      const because = link.lastErrorCode === null ? '' : ` (${link.lastErrorCode})`;
      return { state: 'down', ...explained(denial, `the link from ${from} to ${to} is down${because}`) };
    }
    if (link === undefined) unknown ??= `no node has reported a link from ${from} to ${to}`;
    if (link?.state === 'unknown') unknown ??= `nobody reports the link from ${from} to ${to} now`;
    from = to;
  }
  if (unknown !== undefined) return { state: 'unknown', ...explained(denial, unknown) };
  return { state: 'up', reason: null, ...(denial === undefined ? {} : { cause: denial }) };
}

/** Why a path is not up: a denial says more than the links do. */
function explained(denial: IsthmusError | undefined, reason: string): Pick<ResolvedPath, 'reason' | 'cause'> {
  return denial === undefined ? { reason } : { reason: `${denial.message} (${denial.code})`, cause: denial };
}

function byState(paths: readonly ResolvedPath[]): readonly ResolvedPath[] {
  return paths.toSorted((a, b) => RANKS[a.state] - RANKS[b.state]);
}

function distinct(paths: readonly ResolvedPath[]): readonly ResolvedPath[] {
  return [...new Map(paths.map((path) => [path.relays.join(), path])).values()];
}
