// The route `auto`: every way to a machine, the cheapest live one first. The cost of a way is its round trip and what its
// relays have to do; a way that is taken is left only for one that is clearly cheaper, so that two of about the same cost
// do not take turns.
import { LRUCache } from 'lru-cache';
import { SERVER } from '../store/parents.ts';
import { isUp, liveFirst, waysDown } from './routes.ts';
import { linkBetween, type Topology } from './topology.ts';

type Path = readonly string[];

/** The topology is read at most this often: links measure every second or so. */
const keptMs = 1_000;
const mostRemembered = 5_000;

/** What a relay without work adds, so that of two equal lines the one with fewer relays is taken. */
const relayMs = 1;
/** A relay is never believed to be busier than this: what it adds stays a number. */
const mostBusy = 0.95;
/** A link that is up and not measured yet counts as a slow one. */
const unmeasuredMs = 1_000;

/** Another way is taken when the present one costs more than this much of it, and this many milliseconds more. */
const marginShare = 1.25;
const marginMs = 5;

/** What a tunnel over the path pays: the round trips of its links, and each relay's own time, which rises with its load. */
export function costOf(path: Path, node: string, topology: Topology): number {
  let costMs = 0;
  let from = SERVER;
  for (const to of [...path, node]) {
    costMs += linkBetween(topology, from, to)?.roundTripMs ?? unmeasuredMs;
    from = to;
  }
  for (const relay of path) costMs += relayMs / (1 - busyShare(relay, topology));
  return costMs;
}

/** The share of a core that a relay used lately; nothing when it has not said. */
function busyShare(relay: string, topology: Topology): number {
  const { cpuShare } = (topology.nodes.get(relay)?.report ?? {}) as { cpuShare?: unknown };
  return typeof cpuShare === 'number' && cpuShare > 0 ? Math.min(cpuShare, mostBusy) : 0;
}

/** Orders paths by cost, live ones first; the one that was taken last stays first unless another is clearly cheaper. */
export function orderByCost(paths: readonly Path[], node: string, taken: Path | undefined, topology: Topology): Path[] {
  const byCost = paths.toSorted((a, b) => costOf(a, node, topology) - costOf(b, node, topology));
  const ordered = liveFirst(byCost, node, topology);
  const [cheapest] = ordered;
  const stays = ordered.find((path) => taken !== undefined && path.join() === taken.join());
  if (cheapest === undefined || stays === undefined || !isUp([...stays, node], topology)) return [...ordered];
  const limitMs = costOf(cheapest, node, topology) * marginShare + marginMs;
  if (costOf(stays, node, topology) > limitMs) return [...ordered];
  return [stays, ...ordered.filter((path) => path !== stays)];
}

export type CheapestPaths = (machine: string) => Promise<readonly Path[]>;

/** Answers the ways to a machine in the order in which they should be tried; remembers which one that was. */
export function createCheapestPaths(
  readTopology: () => Promise<Topology>,
  clock: () => number = Date.now,
): CheapestPaths {
  const taken = new LRUCache<string, Path>({ max: mostRemembered });
  let latest: { readonly atMs: number; readonly topology: Promise<Topology> } | undefined;

  function topologyNow(): Promise<Topology> {
    const now = clock();
    if (latest === undefined || now - latest.atMs >= keptMs) latest = { atMs: now, topology: readTopology() };
    latest.topology.catch(() => (latest = undefined));
    return latest.topology;
  }

  return async (machine) => {
    const topology = await topologyNow();
    const parents = topology.nodes.get(machine)?.parents ?? [];
    const paths = orderByCost(waysDown({ node: machine, parents }, topology), machine, taken.get(machine), topology);
    if (paths[0] !== undefined) taken.set(machine, paths[0]);
    return paths;
  };
}
