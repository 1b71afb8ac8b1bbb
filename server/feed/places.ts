// Where a node gets packages from, nearest first: mirrors of its own site, mirrors of the sites its packages come through,
// and last the server's feed.
import { IsthmusError } from '../../lib/errors.ts';
import type { Place } from '../../lib/packages/fetch.ts';
import type { Node } from '../store/repositories/nodes.ts';

/** The name that stands for any node of role server, in parents and in places. */
const server = 'server';
/** As many relays as a tunnel may cross. */
const mostHops = 8;

/**
 * The places for one asker. A mirror is given only mirrors that are nearer to the server than itself, or as near and
 * before it by name: whatever mirrors ask of each other, they never wait in a circle.
 */
export function placesFor(asker: Node, nodes: readonly Node[]): Place[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const above = chainOf(asker, byId);
  const sites = sitesOnTheWay(asker, above, byId);
  const candidates = nodes
    .filter((node) => node.role === 'mirror' && node.state === 'active' && node.id !== asker.id)
    .map((mirror) => ({ mirror, chain: chainOf(mirror, byId), rank: sites.indexOf(mirror.site ?? '') }))
    .filter(
      ({ rank, mirror, chain }) => rank >= 0 && (asker.role !== 'mirror' || isBefore(mirror, chain, asker, above)),
    );
  const places = candidates.flatMap(({ mirror, chain, rank }) => {
    const path = pathBetween(above, chain);
    const url = rank === 0 && asker.site !== null ? (mirror.feedUrl ?? undefined) : undefined;
    if (path === undefined && url === undefined) return [];
    return [{ rank, place: { node: mirror.id, path: path ?? [], ...(url === undefined ? {} : { url }) } }];
  });
  places.sort(
    (a, b) => a.rank - b.rank || a.place.path.length - b.place.path.length || compare(a.place.node, b.place.node),
  );
  return [...places.map(({ place }) => place), { node: server, path: [] }];
}

/** Parents from the nearest up to the server. */
function chainOf(node: Node, byId: ReadonlyMap<string, Node>): string[] {
  const chain: string[] = [];
  for (let parent = node.parent; parent !== null; parent = byId.get(parent)?.parent ?? null) {
    const isServer = parent === server || byId.get(parent)?.role === 'server';
    if (chain.includes(parent) || chain.length > mostHops) {
      throw new IsthmusError('INTERNAL', `the parents of ${node.id} go in a circle`);
    }
    chain.push(isServer ? server : parent);
    if (isServer) break;
  }
  return chain;
}

/** Its own site, then those of its relays upwards, each once. */
function sitesOnTheWay(asker: Node, above: readonly string[], byId: ReadonlyMap<string, Node>): string[] {
  const sites = [asker.site, ...above.map((id) => byId.get(id)?.site ?? null)];
  return [...new Set(sites.filter((site) => site !== null))];
}

/** Up to the lowest relay that both hang below, then down; undefined when only the server is above both. */
function pathBetween(above: readonly string[], below: readonly string[]): string[] | undefined {
  const turn = above.find((id) => id !== server && below.includes(id));
  if (turn === undefined) return undefined;
  const up = above.slice(0, above.indexOf(turn) + 1);
  const down = below.slice(0, below.indexOf(turn)).reverse();
  const path = [...up, ...down];
  return path.length <= mostHops ? path : undefined;
}

function isBefore(mirror: Node, chain: readonly string[], asker: Node, above: readonly string[]): boolean {
  return (chain.length - above.length || compare(mirror.id, asker.id)) < 0;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
