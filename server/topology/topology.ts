// The mesh as the server knows it: which nodes there are, who is whose parent, and which links are up now.
import type { LinkStatus, Mesh } from '../../mesh/types.ts';
import type { LinkReport } from '../../proto/gen/isthmus/topology/v1/LinkReport.ts';
import { SERVER } from '../store/parents.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

/** A report older than this says nothing of now: relays report every few seconds. */
const REPORT_FRESH_MS = 30_000;

export interface Link {
  /** The parent side; 'server' for a server node. */
  readonly from: string;
  readonly to: string;
  readonly up: boolean;
  readonly roundTripMs: number | null;
  /** Towards the child, and from it, since the reporting process started. */
  readonly bytesDown: number;
  readonly bytesUp: number;
  readonly dialledBy: 'parent' | 'child';
  /** host:port at which it is dialled; null when whoever tells of the link does not dial it. */
  readonly address: string | null;
  readonly lastErrorCode: string | null;
}

export interface Topology {
  readonly nodes: ReadonlyMap<string, Node>;
  /** By `from>to`. */
  readonly links: ReadonlyMap<string, Link>;
}

/** Reads nodes and their latest reports, and the server's own links. */
export async function readTopology(
  store: Store | StoreTransaction,
  mesh: Pick<Mesh, 'links'> | undefined,
  now: number = Date.now(),
): Promise<Topology> {
  const nodes = await store.nodes.all();
  return buildTopology(nodes, mesh?.links(), now);
}

/**
 * The topology from its sources. A link is what the parent side says of it, but not up when the child says now that it
 * is down: a relay that died cannot say so. The child's word fills what the parent's lacks, unless the parent has
 * reported since and knows of no such link: it was started anew. `ownLinks` are this server's, undefined where they are
 * not known.
 */
export function buildTopology(
  nodes: readonly Node[],
  ownLinks: readonly LinkStatus[] | undefined,
  now: number,
): Topology {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const byChildren = new Map(nodes.flatMap((node) => reportedOf(node, 'parent', byId, now)));
  const byParents = new Map(nodes.flatMap((node) => reportedOf(node, 'child', byId, now)));
  const links = new Map<string, Link>();
  for (const [key, { link, atMs }] of byChildren) {
    const parentAtMs = link.from === SERVER ? ownLinks && Infinity : byId.get(link.from)?.lastSeenAt;
    const isOutdated = typeof parentAtMs === 'number' && parentAtMs > atMs && !byParents.has(key);
    links.set(key, isOutdated ? { ...link, up: false, roundTripMs: null } : link);
  }
  for (const [key, { link }] of byParents) {
    const child = byChildren.get(key);
    const lost = child?.fresh === true && !child.link.up;
    links.set(key, lost ? { ...link, up: false, roundTripMs: null, lastErrorCode: child.link.lastErrorCode } : link);
  }
  for (const status of ownLinks ?? []) {
    if (status.relation === 'child') links.set(`${SERVER}>${status.peer}`, fromOwn(status));
  }
  return { nodes: byId, links };
}

/** The link from a parent ('server' or a relay) to its child, if one was ever reported. */
export function linkBetween(topology: Topology, from: string, to: string): Link | undefined {
  return topology.links.get(`${from}>${to}`);
}

/** The parent as routes name it: every server node is 'server'. */
export function routeName(topology: Topology, id: string): string {
  return topology.nodes.get(id)?.role === 'server' ? SERVER : id;
}

interface Reported {
  readonly link: Link;
  /** When it was reported, and whether that is now. */
  readonly atMs: number;
  readonly fresh: boolean;
}

/** The links that `node` reports to peers that are its parents, or its children, by `from>to`. */
function reportedOf(
  node: Node,
  relation: 'parent' | 'child',
  byId: ReadonlyMap<string, Node>,
  now: number,
): [string, Reported][] {
  const fresh = node.lastSeenAt !== null && now - node.lastSeenAt < REPORT_FRESH_MS;
  const isParentSide = relation === 'child';
  return reportedLinks(node).flatMap((report): [string, Reported][] => {
    const { peer } = report;
    if (report.relation !== relation || peer === undefined) return [];
    // Of a link that is down, the report does not know the peer's role.
    const isServer = peer === SERVER || report.peerRole === 'server' || byId.get(peer)?.role === 'server';
    const [from, to] = isParentSide ? [node.id, peer] : [isServer ? SERVER : peer, node.id];
    const up = report.up === true && fresh;
    const ours = report.dialledBy === 'us';
    const link: Link = {
      from,
      to,
      up,
      // A report has 0 where nothing was measured yet.
      roundTripMs: up && report.roundTripMs !== undefined && report.roundTripMs > 0 ? report.roundTripMs : null,
      bytesDown: Number((isParentSide ? report.bytesOut : report.bytesIn) ?? 0),
      bytesUp: Number((isParentSide ? report.bytesIn : report.bytesOut) ?? 0),
      dialledBy: isParentSide === ours ? 'parent' : 'child',
      address: report.address === undefined || report.address === '' ? null : report.address,
      lastErrorCode: report.lastErrorCode === undefined || report.lastErrorCode === '' ? null : report.lastErrorCode,
    };
    return [[`${from}>${to}`, { link, atMs: node.lastSeenAt ?? 0, fresh }]];
  });
}

function fromOwn(status: LinkStatus): Link {
  return {
    from: SERVER,
    to: status.peer,
    up: status.up,
    roundTripMs: status.roundTripMs ?? null,
    bytesDown: status.bytesOut,
    bytesUp: status.bytesIn,
    dialledBy: status.dialledBy === 'us' ? 'parent' : 'child',
    address: status.address ?? null,
    lastErrorCode: status.lastErrorCode ?? null,
  };
}

interface LinkReportLike extends Partial<Omit<LinkReport, 'roundTripMs'>> {
  readonly roundTripMs?: number;
}

/** The links of a stored NodeReport; none when there is no report. */
export function reportedLinks(node: Pick<Node, 'report'>): readonly LinkReportLike[] {
  const report = node.report as { readonly links?: readonly LinkReportLike[] } | null;
  return report?.links ?? [];
}
