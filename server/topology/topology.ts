// The mesh as the server knows it: which nodes there are, who is whose parent, and which links are up now.
import type { LinkStatus, Mesh } from '../../mesh/types.ts';
import type { LinkReport } from '../../proto/gen/isthmus/topology/v1/LinkReport.ts';
import type { Node } from '../store/repositories/nodes.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

/** The name routes and parents use for any node of role server. */
export const SERVER = 'server';

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
  return buildTopology(nodes, mesh?.links() ?? [], now);
}

/** The topology from its sources. A link is what the parent side says of it; the child's word fills what it lacks. */
export function buildTopology(nodes: readonly Node[], ownLinks: readonly LinkStatus[], now: number): Topology {
  const links = new Map<string, Link>();
  for (const node of nodes) addReported(links, node, 'parent', now);
  for (const node of nodes) addReported(links, node, 'child', now);
  for (const status of ownLinks) {
    if (status.relation === 'child') add(links, fromOwn(status));
  }
  return { nodes: new Map(nodes.map((node) => [node.id, node])), links };
}

/** The link from a parent ('server' or a relay) to its child, if one was ever reported. */
export function linkBetween(topology: Topology, from: string, to: string): Link | undefined {
  return topology.links.get(`${from}>${to}`);
}

/** The parent as routes name it: every server node is 'server'. */
export function routeName(topology: Topology, id: string): string {
  return topology.nodes.get(id)?.role === 'server' ? SERVER : id;
}

/** Adds what `node` reports of its links to peers that are its parents, or its children. */
function addReported(links: Map<string, Link>, node: Node, relation: 'parent' | 'child', now: number): void {
  const fresh = node.lastSeenAt !== null && now - node.lastSeenAt < REPORT_FRESH_MS;
  for (const report of reportedLinks(node)) {
    if (report.relation !== relation || report.peer === undefined) continue;
    const up = report.up === true && fresh;
    const ours = report.dialledBy === 'us';
    add(links, {
      from: relation === 'child' ? node.id : report.peerRole === 'server' ? SERVER : report.peer,
      to: relation === 'child' ? report.peer : node.id,
      up,
      roundTripMs: up ? (report.roundTripMs ?? null) : null,
      bytesDown: Number((relation === 'child' ? report.bytesOut : report.bytesIn) ?? 0),
      bytesUp: Number((relation === 'child' ? report.bytesIn : report.bytesOut) ?? 0),
      dialledBy: (relation === 'child') === ours ? 'parent' : 'child',
      lastErrorCode: report.lastErrorCode === undefined || report.lastErrorCode === '' ? null : report.lastErrorCode,
    });
  }
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
    lastErrorCode: status.lastErrorCode ?? null,
  };
}

function add(links: Map<string, Link>, link: Link): void {
  links.set(`${link.from}>${link.to}`, link);
}

interface LinkReportLike extends Partial<Omit<LinkReport, 'roundTripMs'>> {
  readonly roundTripMs?: number;
}

/** The links of a stored NodeReport; none when there is no report. */
export function reportedLinks(node: Pick<Node, 'report'>): readonly LinkReportLike[] {
  const report = node.report as { readonly links?: readonly LinkReportLike[] } | null;
  return report?.links ?? [];
}
