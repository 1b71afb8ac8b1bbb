// The topology of the mesh as the server knows it: which nodes exist, who is whose parent, which links are up now.
import type { LinkReport } from '../../proto/gen/isthmus/topology/v1/LinkReport.ts';
import type { LinkState, NodeLiveness } from '../../contract/mesh.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';

export interface Link {
  /** The parent side; 'server' for a server node. */
  readonly from: string;
  readonly to: string;
  /** `unknown` when nobody whom the server hears reports it. */
  readonly state: LinkState;
  /** Of a link whose state is unknown: the node next to the server that is not heard, or not heard lately. */
  readonly behind: string | null;
  readonly roundTripMs: number | null;
  /** Bytes to the child (down) and from it (up) since the reporting process started. */
  readonly bytesDown: number;
  readonly bytesUp: number;
  readonly dialledBy: 'parent' | 'child';
  /** host:port that is dialled; null when the reporting end is not the one that dials. */
  readonly address: string | null;
  readonly lastErrorCode: string | null;
}

export interface Topology {
  readonly nodes: ReadonlyMap<string, Node>;
  /** The present state of the link from a parent ('server' or a relay) to its child, if it was ever reported. */
  link(from: string, to: string): Link | undefined;
  links(): Link[];
}

/** Whether a node is linked to the server now, directly or through relays. */
export interface Liveness {
  readonly live: NodeLiveness;
  /** Of a node whose liveness is unknown: the node above it that is offline. */
  readonly behind: string | null;
}

/** The name of a parent in routes: every server node is 'server'. */
export function routeName({ nodes }: Pick<Topology, 'nodes'>, id: string): string {
  return nodes.get(id)?.role === 'server' ? SERVER : id;
}

/** A link in a stored report: it is JSON, so any field may be missing. */
export interface StoredLinkReport extends Partial<Omit<LinkReport, 'roundTripMs'>> {
  readonly roundTripMs?: number;
}

/** The links of a stored NodeReport; none when there is no report. */
export function reportedLinks(node: Pick<Node, 'report'>): readonly StoredLinkReport[] {
  const report = node.report as { readonly links?: readonly StoredLinkReport[] } | null;
  return report?.links ?? [];
}
