// Least-cost paths: what a path costs (its links' round trips and its relays' load), and when `auto` changes to one
// of lower cost. It leaves the path it has taken only for one of clearly lower cost, so that two of similar cost do not
// alternate.
import { SERVER } from '../store/nodes/parents.ts';
import type { Topology } from './topology.ts';

/** What an idle relay adds, so that of two equal paths the one with fewer relays is taken. */
const RELAY_MS = 1;
/** The highest load that counts, so that what a relay adds stays finite. */
const MOST_BUSY = 0.95;
/** A link that has not been measured yet counts as a slow one. */
const UNMEASURED_MS = 1_000;

/** `auto` leaves a path that costs more than the least cost times this share, plus this many milliseconds. */
const MARGIN_SHARE = 1.25;
const MARGIN_MS = 5;

/**
 * How long a call to `node` over these relays waits, in milliseconds: the round trips of the links, and each relay's
 * own time, which rises with its load.
 */
export function costMs(relays: readonly string[], node: string | undefined, topology: Topology): number {
  const links = roundTripsMs(node === undefined ? relays : [...relays, node], topology);
  let sumMs = links.reduce<number>((sum, linkMs) => sum + (linkMs ?? UNMEASURED_MS), 0);
  for (const relay of relays) sumMs += RELAY_MS / (1 - busyShare(relay, topology));
  return sumMs;
}

/** The round trip from the server over the links between these nodes; undefined until each has been measured. */
export function roundTripMs(nodes: readonly string[], topology: Topology): number | undefined {
  return roundTripsMs(nodes, topology).reduce<number | undefined>(
    (sum, linkMs) => (sum === undefined || linkMs === null ? undefined : sum + linkMs),
    0,
  );
}

function roundTripsMs(nodes: readonly string[], topology: Topology): readonly (number | null)[] {
  return nodes.map((to, at) => topology.link(nodes[at - 1] ?? SERVER, to)?.roundTripMs ?? null);
}

/** The share of a core that a relay used lately; 0 when it has not reported one. */
function busyShare(relay: string, { nodes }: Topology): number {
  const { cpuShare } = (nodes.get(relay)?.report ?? {}) as { cpuShare?: unknown };
  return typeof cpuShare === 'number' && cpuShare > 0 ? Math.min(cpuShare, MOST_BUSY) : 0;
}

interface Priced {
  readonly relays: readonly string[];
  readonly cost: number;
  readonly state: string;
}

/** Of paths in order of cost, puts the one taken last first unless it is down or another costs clearly less. */
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
