// The mesh as the server knows it: which nodes there are, who is whose parent, and which links are up now.
import type { LinkReport } from '../../proto/gen/isthmus/topology/v1/LinkReport.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';

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
  /** The link from a parent ('server' or a relay) to its child as it is now, if one was ever reported. */
  link(from: string, to: string): Link | undefined;
  links(): Link[];
}

/** The parent as routes name it: every server node is 'server'. */
export function routeName({ nodes }: Pick<Topology, 'nodes'>, id: string): string {
  return nodes.get(id)?.role === 'server' ? SERVER : id;
}

/** A link as a stored report has it: JSON, so every field may be missing. */
export interface StoredLinkReport extends Partial<Omit<LinkReport, 'roundTripMs'>> {
  readonly roundTripMs?: number;
}

/** The links of a stored NodeReport; none when there is no report. */
export function reportedLinks(node: Pick<Node, 'report'>): readonly StoredLinkReport[] {
  const report = node.report as { readonly links?: readonly StoredLinkReport[] } | null;
  return report?.links ?? [];
}
