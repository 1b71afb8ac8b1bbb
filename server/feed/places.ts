// Where a node gets packages from, nearest first: mirrors of its own site, mirrors of the sites its packages come
// through, and last the server's feed.
import type { Place } from '../../lib/packages/fetch.ts';
import { chainsUp, MAX_HOPS, SERVER } from '../store/parents.ts';
import type { Node } from '../store/repositories/nodes.ts';

/** Ways to one mirror: another for when a relay of the first is down, and no list without end. */
const waysToEach = 2;

type Chains = readonly (readonly string[])[];

/**
 * The places for one asker. A mirror is given only mirrors that are nearer to the server than itself, or as near and
 * before it by name: whatever mirrors ask of each other, they never wait in a circle.
 */
export function placesFor(asker: Node, nodes: readonly Node[]): Place[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const above = chainsUp(asker.parents, byId);
  const sites = sitesOnTheWay(asker, above, byId);
  const candidates = nodes
    .filter((node) => node.role === 'mirror' && node.state === 'active' && node.id !== asker.id)
    .map((mirror) => ({ mirror, below: chainsUp(mirror.parents, byId), rank: sites.indexOf(mirror.site ?? '') }))
    .filter(
      ({ rank, mirror, below }) => rank >= 0 && (asker.role !== 'mirror' || isBefore(mirror, below, asker, above)),
    );
  const places = candidates.flatMap(({ mirror, below, rank }) => {
    const [path, ...otherPaths] = pathsBetween(above, below);
    const url = rank === 0 && asker.site !== null ? (mirror.feedUrl ?? undefined) : undefined;
    if (path === undefined && url === undefined) return [];
    const first = { node: mirror.id, path: path ?? [], ...(url === undefined ? {} : { url }) };
    return [first, ...otherPaths.map((other) => ({ node: mirror.id, path: other }))].map((place) => ({ rank, place }));
  });
  places.sort(
    (a, b) => a.rank - b.rank || a.place.path.length - b.place.path.length || compare(a.place.node, b.place.node),
  );
  return [...places.map(({ place }) => place), { node: SERVER, path: [] }];
}

/** Its own site, then those of its relays upwards, each once. */
function sitesOnTheWay(asker: Node, above: Chains, byId: ReadonlyMap<string, Node>): string[] {
  const sites = [asker.site, ...above.flat().map((id) => byId.get(id)?.site ?? null)];
  return [...new Set(sites.filter((site) => site !== null))];
}

/** The paths from one to the other, the shortest first; none when only the server is above both. */
function pathsBetween(above: Chains, below: Chains): string[][] {
  const all = above.flatMap((up) => below.map((down) => pathBetween(up, down))).filter((path) => path !== undefined);
  const unique = [...new Map(all.map((path) => [path.join('>'), path])).values()];
  return unique.toSorted((a, b) => a.length - b.length).slice(0, waysToEach);
}

/** Up to the lowest relay that both hang below, then down. */
function pathBetween(above: readonly string[], below: readonly string[]): string[] | undefined {
  const turn = above.find((id) => below.includes(id));
  if (turn === undefined) return undefined;
  const up = above.slice(0, above.indexOf(turn) + 1);
  const down = below.slice(0, below.indexOf(turn)).toReversed();
  const path = [...up, ...down];
  return path.length <= MAX_HOPS ? path : undefined;
}

function isBefore(mirror: Node, below: Chains, asker: Node, above: Chains): boolean {
  return (depth(below) - depth(above) || compare(mirror.id, asker.id)) < 0;
}

/** Relays on the shortest way to the server. */
function depth(chains: Chains): number {
  return Math.min(MAX_HOPS + 1, ...chains.map((chain) => chain.length));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
