// What a path costs, and when `auto` changes to a cheaper one: the round trips of its links and what its relays have to
// do. A path that is taken is left only for one that is clearly cheaper, so that two of about the same cost do not
// alternate.
import { SERVER } from '../store/nodes/parents.ts';
import type { Topology } from './topology.ts';

/** What a relay without work adds, so that of two equal lines the one with fewer relays is taken. */
const RELAY_MS = 1;
/** A relay is never believed to be busier than this: what it adds stays a number. */
const MOST_BUSY = 0.95;
/** A link that is up and not measured yet counts as a slow one. */
const UNMEASURED_MS = 1_000;

/** Another path is taken when the present one costs more than this much of it, and this many milliseconds more. */
const MARGIN_SHARE = 1.25;
const MARGIN_MS = 5;

/**
 * What a call to `node` over these relays waits, in milliseconds: the round trips of the links, and each relay's own
 * time, which rises with its load.
 */
export function costMs(relays: readonly string[], node: string | undefined, topology: Topology): number {
  let sumMs = 0;
  let from = SERVER;
  for (const to of node === undefined ? relays : [...relays, node]) {
    sumMs += topology.link(from, to)?.roundTripMs ?? UNMEASURED_MS;
    from = to;
  }
  for (const relay of relays) sumMs += RELAY_MS / (1 - busyShare(relay, topology));
  return sumMs;
}

/** The share of a core that a relay used lately; nothing when it has not said. */
function busyShare(relay: string, { nodes }: Topology): number {
  const { cpuShare } = (nodes.get(relay)?.report ?? {}) as { cpuShare?: unknown };
  return typeof cpuShare === 'number' && cpuShare > 0 ? Math.min(cpuShare, MOST_BUSY) : 0;
}

interface Priced {
  readonly relays: readonly string[];
  readonly cost: number;
  readonly state: string;
}

/** Of paths in order of cost: the one that was taken comes first unless it is down or another is clearly cheaper. */
export function preferTaken<Path extends Priced>(
  paths: readonly Path[],
  taken: readonly string[] | undefined,
): readonly Path[] {
  const [leastCost] = paths;
  const stays = paths.find(({ relays }) => taken !== undefined && relays.join() === taken.join());
  if (leastCost === undefined || stays === undefined || stays.state === 'down' || stays.state === 'unusable') {
    return paths;
  }
  if (stays.cost > leastCost.cost * MARGIN_SHARE + MARGIN_MS) return paths;
  return [stays, ...paths.filter((path) => path !== stays)];
}
