// The nodes from which a node may fetch packages, nearest first: mirrors of its own site, mirrors of the sites on its path
// to the server, those of sites beside it, and last the server's feed. Computed once per site, set of parents and
// structure of the mesh, however many machines and tickets need it. explain-sources.ts says which of them it uses.
import type { MeshSource } from '../../lib/blobs/source.ts';
import { compareText } from '../../lib/text/compare.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { MAX_HOPS } from '../../mesh/limits.ts';
import { chainsUp, type Chain } from '../topology/chains.ts';
import type { LiveTopology } from '../topology/live.ts';

/** Paths to one mirror: a second one for when a relay of the first is down, and no more, to keep lists short. */
const PATHS_PER_MIRROR = 2;

type Chains = readonly Chain[];

interface Mirror {
  readonly node: Node;
  readonly below: Chains;
}

/**
 * Where a source is, seen from the node that fetches: in its site, above it, beside it (as near to the server), or
 * elsewhere: then it is a source only where it is named.
 */
export type SourceTier = 'mirror' | 'parent' | 'sibling' | 'server' | 'elsewhere';
const TIERS: readonly SourceTier[] = ['mirror', 'parent', 'sibling', 'server', 'elsewhere'];

export interface MeshOffer {
  readonly source: MeshSource;
  readonly tier: SourceTier;
  /** Of the parents' sites, from the nearest upwards; 0 in other tiers. */
  readonly siteRank: number;
}

export class PackageSources {
  readonly #topology: Pick<LiveTopology, 'nodes' | 'structure'>;
  readonly #known = new Map<string, readonly MeshOffer[]>();
  #mirrors: readonly Mirror[] = [];
  #structure: number | undefined;

  constructor(topology: Pick<LiveTopology, 'nodes' | 'structure'>) {
    this.#topology = topology;
  }

  /** What one node may fetch from, nearest first. */
  of(node: Node): readonly MeshOffer[] {
    this.#dropOutdated();
    // Mirrors and relays each have sources of their own; tentacles with the same site and parents have the same sources.
    const parents = node.parents.map((parent) => parent.node).join();
    const key = node.role === 'tentacle' ? `${node.site} ${parents}` : `${node.role} ${node.id}`;
    const known = this.#known.get(key) ?? sourcesFor(node, this.#mirrors, this.#topology.nodes);
    this.#known.set(key, known);
    return known;
  }

  #dropOutdated(): void {
    const { nodes, structure } = this.#topology;
    if (structure === this.#structure) return;
    this.#structure = structure;
    this.#known.clear();
    this.#mirrors = [...nodes.values()]
      .filter(({ role, state }) => role === 'mirror' && state === 'active')
      .map((node) => ({ node, below: chainsUp(node.parents, nodes) }));
  }
}

/**
 * The sources for one requester. A mirror gets only mirrors that are nearer to the server than itself, or as near and
 * before it by name, so that mirrors never wait for each other in a circle.
 */
function sourcesFor(
  requester: Node,
  mirrors: readonly Mirror[],
  nodes: ReadonlyMap<string, Node>,
): readonly MeshOffer[] {
  const above = chainsFrom(requester, nodes);
  const sites = sitesAbove(requester, above, nodes);
  const candidates = mirrors
    .filter(({ node }) => node.id !== requester.id)
    .filter((mirror) => requester.role !== 'mirror' || isBefore(mirror, requester, above));
  const offers = candidates.flatMap(({ node, below }): MeshOffer[] => {
    const isOwnSite = requester.site !== null && node.site === requester.site;
    const siteRank = Math.max(0, sites.indexOf(node.site ?? ''));
    const isAbove = sites.includes(node.site ?? '');
    const isBeside = depth(below) <= depth(above);
    const tier = isOwnSite ? 'mirror' : isAbove ? 'parent' : isBeside ? 'sibling' : 'elsewhere';
    // A relay is the first on its own paths.
    const [path, ...otherPaths] = pathsBetween(above, below).map((each) => each.filter((id) => id !== requester.id));
    const url = isOwnSite ? (node.feedUrl ?? undefined) : undefined;
    if (path === undefined && url === undefined) return [];
    const first = { kind: 'mesh', node: node.id, path: path ?? [], ...(url === undefined ? {} : { url }) } as const;
    const others = otherPaths.map((other) => ({ kind: 'mesh', node: node.id, path: other }) as const);
    return [first, ...others].map((source) => ({ source, tier, siteRank }));
  });
  offers.push({ source: { kind: 'mesh', node: SERVER, path: [] }, tier: 'server', siteRank: 0 });
  return offers.sort(
    (a, b) =>
      TIERS.indexOf(a.tier) - TIERS.indexOf(b.tier) ||
      a.siteRank - b.siteRank ||
      a.source.path.length - b.source.path.length ||
      compareText(a.source.node, b.source.node),
  );
}

/** The chains that begin with the requester, where it is a relay: what is below it needs no other one. */
function chainsFrom({ id, role, parents }: Node, nodes: ReadonlyMap<string, Node>): Chains {
  const chains = chainsUp(parents, nodes);
  return role === 'relay' ? chains.map((chain) => [id, ...chain]) : chains;
}

/** Its own site, then those of its relays upwards, each once. */
function sitesAbove(requester: Node, above: Chains, byId: ReadonlyMap<string, Node>): string[] {
  const sites = [requester.site, ...above.flat().map((id) => byId.get(id)?.site ?? null)];
  return [...new Set(sites.filter((site) => site !== null))];
}

/** The paths from one to the other, the shortest first; none when only the server is above both. */
function pathsBetween(above: Chains, below: Chains): string[][] {
  const all = above.flatMap((up) => below.map((down) => pathBetween(up, down))).filter((path) => path !== undefined);
  const unique = [...new Map(all.map((path) => [path.join('>'), path])).values()];
  return unique.toSorted((a, b) => a.length - b.length).slice(0, PATHS_PER_MIRROR);
}

/** Up to the lowest relay that both are below, then down. */
function pathBetween(above: readonly string[], below: readonly string[]): string[] | undefined {
  const turn = above.find((id) => below.includes(id));
  if (turn === undefined) return undefined;
  const up = above.slice(0, above.indexOf(turn) + 1);
  const down = below.slice(0, below.indexOf(turn)).toReversed();
  const path = [...up, ...down];
  return path.length <= MAX_HOPS ? path : undefined;
}

function isBefore({ node, below }: Mirror, requester: Node, above: Chains): boolean {
  return (depth(below) - depth(above) || compareText(node.id, requester.id)) < 0;
}

/** Relays on the shortest path to the server. */
function depth(chains: Chains): number {
  return Math.min(MAX_HOPS + 1, ...chains.map((chain) => chain.length));
}
