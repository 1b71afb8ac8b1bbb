// The state of links, derived from what both ends report. A report replaces the node's previous one; the state of a
// link follows from both reports, the present time, and whether the server is linked to the ends that report it.
import type { Clocks } from '../../lib/async/clock-watch.ts';
import type { LinkStatus } from '../../mesh/types.ts';
import { SERVER } from '../store/nodes/parents.ts';
import type { Node } from '../store/nodes/nodes.ts';
import { denialOf } from './denied-node.ts';
import { reportedLinks, routeName, type Link, type Liveness, type StoredLinkReport } from './topology.ts';

/** A report older than this no longer counts: nodes report every few seconds. */
const REPORT_FRESH_MS = 30_000;

/** How long the nodes that are heard are kept while no report says that a link has changed: reports get old. */
const HEARD_KEPT_MS = 1_000;

/** What one node last reported: its links to children and to parents, keyed by the other end. */
interface Reported {
  /** By the time of day, as it is stored. */
  readonly seenAt: number;
  /** By the monotonic clock: a report does not get older when the clock of the machine is set. */
  readonly atMs: number;
  readonly children: ReadonlyMap<string, Link>;
  readonly parents: ReadonlyMap<string, Link>;
  /** When it first reported a link to a parent as up, after none or one that was down. By the monotonic clock. */
  readonly upSinceMs: ReadonlyMap<string, number>;
}

/** The nodes that the server heard at one moment, when its own links were these. */
interface Heard {
  readonly own: ReadonlyMap<string, Link>;
  readonly atMs: number;
  readonly nodes: ReadonlySet<string>;
}

const DOWN = { state: 'down', roundTripMs: null } as const;
const UNKNOWN = { state: 'unknown', roundTripMs: null } as const;

/** This server's own links to its children, by child. */
export type OwnLinks = () => ReadonlyMap<string, Link>;

export class LinkTable {
  readonly #reported = new Map<string, Reported>();
  readonly #nodes: ReadonlyMap<string, Node>;
  readonly #ownLinks: OwnLinks;
  readonly #clocks: Clocks;
  #heard: Heard | undefined;

  /** `nodes` are those of the live topology. */
  constructor(nodes: ReadonlyMap<string, Node>, ownLinks: OwnLinks, clocks: Clocks) {
    this.#nodes = nodes;
    this.#ownLinks = ownLinks;
    this.#clocks = clocks;
  }

  /** Stores what a node last reported. */
  take(node: Node): void {
    const reports = reportedLinks(node);
    const seenAt = node.lastSeenAt ?? 0;
    const before = this.#reported.get(node.id);
    const atMs = before?.seenAt === seenAt ? before.atMs : this.#seenAtMs(seenAt);
    const parents = linksTo('parent', node, reports, this.#nodes);
    const up = [...parents].filter(([, { state }]) => state === 'up');
    const reported = {
      ...{ seenAt, atMs, parents },
      children: linksTo('child', node, reports, this.#nodes),
      upSinceMs: new Map(up.map(([parent]) => [parent, before?.upSinceMs.get(parent) ?? atMs])),
    };
    this.#reported.set(node.id, reported);
    if (before === undefined || statesOf(before) !== statesOf(reported)) this.#heard = undefined;
  }

  /**
   * The present state of a link. What the server does not hear of, because the nodes that could report it are behind
   * one that is not linked, or have not reported lately, is unknown.
   */
  find(from: string, to: string): Link | undefined {
    const link = this.#byReports(from, to);
    if (link === undefined || from === SERVER) return link;
    const heard = this.#whoIsHeard();
    const [byParent, byChild] = [heard.has(from), heard.has(to) && this.#reported.get(to)?.parents.has(from) === true];
    if (!byParent && !byChild) return { ...link, ...UNKNOWN, behind: this.#topmostUnheard(from, heard) };
    return link.state === 'unknown' ? { ...link, behind: from } : link;
  }

  /** Every link that either end has reported. */
  all(): Link[] {
    return this.#ends()
      .map(([from, to]) => this.find(from, to))
      .filter((link) => link !== undefined);
  }

  /** Whether a node is linked to the server, directly or through relays. */
  liveness({ id, role, state }: Node): Liveness {
    const heard = this.#whoIsHeard();
    if (role === 'server' || (state === 'active' && heard.has(id))) return { live: 'online', behind: null };
    const topmost = state === 'active' ? this.#topmostUnheard(id, heard) : id;
    return topmost === id ? { live: 'offline', behind: null } : { live: 'unknown', behind: topmost };
  }

  /**
   * A link is down when a fresh report of either end says so: a relay that died cannot report it. It is up when one
   * says so, unless the parent has reported since without the link: then the parent has restarted. What the parent
   * said before the child linked to it does not count.
   */
  #byReports(from: string, to: string): Link | undefined {
    const own = from === SERVER ? this.#ownLinks().get(to) : undefined;
    if (own !== undefined) return own;
    const [parent, child] = [this.#reported.get(from), this.#reported.get(to)];
    const [byParent, byChild] = [parent?.children.get(to), child?.parents.get(from)];
    const link = byParent ?? byChild;
    if (link === undefined) return undefined;
    const [isParentFresh, isChildFresh] = [this.#isFresh(parent), this.#isFresh(child)];
    if (isChildFresh && byChild?.state === 'down') return { ...link, ...DOWN, lastErrorCode: byChild.lastErrorCode };
    const isLinkedSince = isChildFresh && (child?.upSinceMs.get(from) ?? -Infinity) > (parent?.atMs ?? 0);
    // A relay links the denied process again and again, until the server ends it.
    if (!isChildFresh && denialOf(this.#nodes.get(to)) !== undefined) {
      return { ...link, ...DOWN, lastErrorCode: 'NODE_CLONED' };
    }
    if (isParentFresh && byParent !== undefined && !isLinkedSince) return byParent;
    const isOutdated = from === SERVER || (isParentFresh && (parent?.atMs ?? 0) > (child?.atMs ?? 0));
    if (isOutdated) return { ...link, ...DOWN };
    return isChildFresh && byChild !== undefined ? byChild : { ...link, ...UNKNOWN };
  }

  /** The nodes to which links lead that are up, from the server downwards. */
  #whoIsHeard(): ReadonlySet<string> {
    const now = this.#clocks.monotonic();
    const own = this.#ownLinks();
    if (this.#heard !== undefined && this.#heard.own === own && now - this.#heard.atMs < HEARD_KEPT_MS) {
      return this.#heard.nodes;
    }
    const below = Map.groupBy(this.#ends(), ([from]) => from);
    const nodes = new Set<string>();
    const queue = [SERVER];
    for (const from of queue) {
      for (const [, to] of below.get(from) ?? []) {
        if (nodes.has(to) || this.#byReports(from, to)?.state !== 'up') continue;
        nodes.add(to);
        queue.push(to);
      }
    }
    this.#heard = { own, atMs: now, nodes };
    return nodes;
  }

  /** The node itself, or the highest above it, by preferred parents, that is not heard. */
  #topmostUnheard(id: string, heard: ReadonlySet<string>): string {
    const seen = new Set<string>();
    for (let at = id; ;) {
      seen.add(at);
      const parents = (this.#nodes.get(at)?.parents ?? []).map(({ node }) => routeName({ nodes: this.#nodes }, node));
      if (parents.some((parent) => parent === SERVER || heard.has(parent))) return at;
      const next = parents.find((parent) => !seen.has(parent));
      if (next === undefined) return at;
      at = next;
    }
  }

  /** The ends of every link that either end has reported. */
  #ends(): [string, string][] {
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
    return ends;
  }

  #seenAtMs(seenAt: number): number {
    return this.#clocks.monotonic() - Math.max(0, this.#clocks.wall() - seenAt);
  }

  #isFresh(reported: Reported | undefined): boolean {
    return reported !== undefined && this.#clocks.monotonic() - reported.atMs < REPORT_FRESH_MS;
  }
}

/** Changes when a link of a report does. */
function statesOf({ children, parents }: Reported): string {
  const text = (links: ReadonlyMap<string, Link>) => [...links].map(([peer, { state }]) => `${peer} ${state}`).join();
  return `${text(children)};${text(parents)}`;
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
    state: up ? 'up' : 'down',
    behind: null,
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
      state: status.up ? 'up' : 'down',
      behind: null,
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
