// The state of links, derived from what both ends report. A report replaces the node's previous one; the state of a
// link follows from both reports and the present time.
import type { Clocks } from '../../lib/async/clock-watch.ts';
import type { LinkStatus } from '../../mesh/types.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { reportedLinks, routeName, type Link, type StoredLinkReport } from './topology.ts';

/** A report older than this no longer counts: nodes report every few seconds. */
const REPORT_FRESH_MS = 30_000;

/** What one node last reported: its links to children and to parents, keyed by the other end. */
interface Reported {
  /** By the time of day, as it is stored. */
  readonly seenAt: number;
  /** By the monotonic clock: a report does not get older when the clock of the machine is set. */
  readonly atMs: number;
  readonly children: ReadonlyMap<string, Link>;
  readonly parents: ReadonlyMap<string, Link>;
}

/** This server's own links to its children, by child. */
export type OwnLinks = () => ReadonlyMap<string, Link>;

export class LinkTable {
  readonly #reported = new Map<string, Reported>();
  readonly #ownLinks: OwnLinks;
  readonly #clocks: Clocks;

  constructor(ownLinks: OwnLinks, clocks: Clocks) {
    this.#ownLinks = ownLinks;
    this.#clocks = clocks;
  }

  /** Stores what a node last reported. `nodes` tells which of its peers are servers. */
  take(node: Node, nodes: ReadonlyMap<string, Node>): void {
    const reports = reportedLinks(node);
    const seenAt = node.lastSeenAt ?? 0;
    const before = this.#reported.get(node.id);
    this.#reported.set(node.id, {
      seenAt,
      atMs: before?.seenAt === seenAt ? before.atMs : this.#seenAtMs(seenAt),
      children: linksTo('child', node, reports, nodes),
      parents: linksTo('parent', node, reports, nodes),
    });
  }

  /**
   * A link has the state that its parent end reports, but is down when a fresh report of the child says so: a relay
   * that died cannot report it. The child's report counts where the parent's is missing, unless the parent has reported
   * since without the link: then the parent has restarted.
   */
  find(from: string, to: string): Link | undefined {
    const own = from === SERVER ? this.#ownLinks().get(to) : undefined;
    if (own !== undefined) return own;
    const [parent, child] = [this.#reported.get(from), this.#reported.get(to)];
    const [byParent, byChild] = [parent?.children.get(to), child?.parents.get(from)];
    const isChildFresh = this.#isFresh(child);
    if (byParent !== undefined) {
      if (isChildFresh && byChild?.up === false) return { ...down(byParent), lastErrorCode: byChild.lastErrorCode };
      return this.#isFresh(parent) ? byParent : down(byParent);
    }
    if (byChild === undefined || child === undefined) return undefined;
    const isOutdated = from === SERVER || (parent?.atMs ?? 0) > child.atMs;
    return isChildFresh && !isOutdated ? byChild : down(byChild);
  }

  /** Every link that either end has reported. */
  all(): Link[] {
    const ends: [string, string][] = [];
    for (const [id, { children, parents }] of this.#reported) {
      for (const child of children.keys()) ends.push([id, child]);
      for (const parent of parents.keys()) {
        if (this.#reported.get(parent)?.children.has(id) !== true) ends.push([parent, id]);
      }
    }
    for (const child of this.#ownLinks().keys()) {
      if (this.#reported.get(child)?.parents.has(SERVER) !== true) ends.push([SERVER, child]);
    }
    return ends.map(([from, to]) => this.find(from, to)).filter((link) => link !== undefined);
  }

  #seenAtMs(seenAt: number): number {
    return this.#clocks.monotonic() - Math.max(0, this.#clocks.wall() - seenAt);
  }

  #isFresh(reported: Reported | undefined): boolean {
    return reported !== undefined && this.#clocks.monotonic() - reported.atMs < REPORT_FRESH_MS;
  }
}

function down(link: Link): Link {
  return { ...link, up: false, roundTripMs: null };
}

/** The links that a node reports to its parents, or to its children, keyed by the peer. */
function linksTo(
  relation: 'parent' | 'child',
  node: Node,
  reports: readonly StoredLinkReport[],
  nodes: ReadonlyMap<string, Node>,
): ReadonlyMap<string, Link> {
  const links = new Map<string, Link>();
  for (const report of reports) {
    const { peer } = report;
    if (report.relation !== relation || peer === undefined) continue;
    if (relation === 'child') {
      links.set(peer, toLink(report, { from: node.id, to: peer }));
      continue;
    }
    // The report of a link that is down lacks the peer's role.
    const parent = report.peerRole === 'server' ? SERVER : routeName({ nodes }, peer);
    links.set(parent, toLink(report, { from: parent, to: node.id }));
  }
  return links;
}

/** A link as one of its ends reports it. */
function toLink(report: StoredLinkReport, { from, to }: Pick<Link, 'from' | 'to'>): Link {
  const isParentSide = report.relation === 'child';
  const up = report.up === true;
  return {
    from,
    to,
    up,
    // A report says 0 until a round trip has been measured.
    roundTripMs: up && report.roundTripMs !== undefined && report.roundTripMs > 0 ? report.roundTripMs : null,
    bytesDown: Number((isParentSide ? report.bytesOut : report.bytesIn) ?? 0),
    bytesUp: Number((isParentSide ? report.bytesIn : report.bytesOut) ?? 0),
    dialledBy: isParentSide === (report.dialledBy === 'us') ? 'parent' : 'child',
    address: report.address === undefined || report.address === '' ? null : report.address,
    lastErrorCode: report.lastErrorCode === undefined || report.lastErrorCode === '' ? null : report.lastErrorCode,
  };
}

/** This server's own links to its children, by child. */
export function ownLinks(statuses: readonly LinkStatus[]): ReadonlyMap<string, Link> {
  const links = new Map<string, Link>();
  for (const status of statuses) {
    if (status.relation !== 'child') continue;
    links.set(status.peer, {
      from: SERVER,
      to: status.peer,
      up: status.up,
      roundTripMs: status.roundTripMs ?? null,
      bytesDown: status.bytesOut,
      bytesUp: status.bytesIn,
      dialledBy: status.dialledBy === 'us' ? 'parent' : 'child',
      address: status.address ?? null,
      lastErrorCode: status.lastErrorCode ?? null,
    });
  }
  return links;
}
