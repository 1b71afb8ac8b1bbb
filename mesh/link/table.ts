// The links of this node, up or not. The newest session of a neighbour wins: it replaces the one before.
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { LinkStatus } from '../types.ts';
import type { HelloFacts, Relation } from './hello.ts';
import type { LinkSession } from './session.ts';
import { ByteCounter } from './connection.ts';

export interface Link {
  /** The node id, or 'server' until a node of that role has answered. */
  name: string;
  readonly relation: Relation;
  readonly dialledBy: 'us' | 'peer';
  readonly address: string | undefined;
  readonly counter: ByteCounter;
  session: LinkSession | undefined;
  lastErrorCode: ErrorCode | undefined;
}

/** Nodes that dialled once and left are kept for the report, up to this number. */
const MAX_LINKS = 4096;

export class LinkTable {
  readonly #links = new Set<Link>();
  readonly #live = new Map<string, Link>();

  /** Adds a configured link. */
  add(name: string, relation: Relation, dialledBy: 'us' | 'peer', address: string | undefined): Link {
    const link: Link = {
      name,
      relation,
      dialledBy,
      address,
      counter: new ByteCounter(),
      session: undefined,
      lastErrorCode: undefined,
    };
    this.#links.add(link);
    return link;
  }

  remove(link: Link): void {
    this.#links.delete(link);
  }

  /** The link of a peer that dialled this node. */
  inbound(peer: PeerIdentity, relation: Relation): Link {
    for (const link of this.#links) {
      if (link.dialledBy === 'peer' && link.relation === relation && link.name === peer.node) return link;
    }
    this.#forget();
    return this.add(peer.node, relation, 'peer', undefined);
  }

  /**
   * STALE_SESSION for a session older than the live one of the same node; JOIN_UNCONFIRMED for one that may not replace
   * it.
   */
  check(peer: PeerIdentity, hello: HelloFacts): void {
    const link = this.#live.get(peer.node);
    const live = link?.session?.facts;
    if (live === undefined) return;
    if (peer.provisional && !live.peer.provisional) {
      throw new IsthmusError('JOIN_UNCONFIRMED', `${peer.node} is linked with a confirmed certificate already`);
    }
    const replaces = live.peer.provisional && !peer.provisional;
    if (link?.dialledBy !== 'peer' || replaces || hello.epoch > live.epoch) return;
    throw new IsthmusError('STALE_SESSION', `a newer session of ${peer.node} is live`);
  }

  /** Replaces the session before, which ends at once. */
  admit(link: Link, session: LinkSession): void {
    const { node } = session.facts.peer;
    const before = this.#live.get(node);
    this.#live.set(node, link);
    const old = before?.session;
    link.session = session;
    link.lastErrorCode = undefined;
    if (link.name === 'server') link.name = node;
    old?.end(new IsthmusError('SESSION_REPLACED', `a newer session of ${node} replaced this one`), true);
  }

  ended(session: LinkSession, error: IsthmusError): void {
    for (const link of this.#links) {
      if (link.session !== session) continue;
      link.session = undefined;
      link.lastErrorCode = error.code;
    }
    const { node } = session.facts.peer;
    if (this.#live.get(node)?.session === undefined) this.#live.delete(node);
  }

  live(node: string): LinkSession | undefined {
    return this.#live.get(node)?.session;
  }

  /** The link that carries the live session of a neighbour. */
  liveLink(node: string): Link | undefined {
    const link = this.#live.get(node);
    return link?.session === undefined ? undefined : link;
  }

  *sessions(): Iterable<LinkSession> {
    for (const link of this.#live.values()) if (link.session !== undefined) yield link.session;
  }

  /** The live parents: the preferred ones in their order, then any other. */
  parents(preferred: readonly string[]): LinkSession[] {
    const rankOf = ({ facts: { peer } }: LinkSession): number => {
      const index = preferred.findIndex((name) => name === peer.node || (name === 'server' && peer.role === 'server'));
      return index === -1 ? preferred.length : index;
    };
    const live = [...this.sessions()].filter(({ facts }) => facts.relation === 'parent');
    return live.toSorted((a, b) => rankOf(a) - rankOf(b));
  }

  status(): LinkStatus[] {
    // While a parent is tried at another address or in the other direction, the link that is up is listed for both.
    const isHidden = (link: Link): boolean =>
      link.session === undefined && link.relation === 'parent' && this.liveLink(link.name)?.relation === 'parent';
    return [...this.#links].flatMap((link) => (isHidden(link) ? [] : [statusOf(link)]));
  }

  #forget(): void {
    if (this.#links.size < MAX_LINKS) return;
    for (const link of this.#links) {
      if (link.dialledBy === 'us' || link.session !== undefined) continue;
      this.#links.delete(link);
      return;
    }
  }
}

function statusOf(link: Link): LinkStatus {
  return {
    peer: link.session?.facts.peer.node ?? link.name,
    peerRole: link.session?.facts.peer.role,
    relation: link.relation,
    dialledBy: link.dialledBy,
    address: link.address,
    up: link.session !== undefined && link.session.facts.peer.provisional !== true,
    upSinceMs: link.session?.upSinceMs,
    roundTripMs: link.session?.roundTripMs,
    linkTimeoutMs: link.session?.linkTimeoutMs,
    bytesIn: link.counter.bytesIn,
    bytesOut: link.counter.bytesOut,
    tunnels: link.session?.tunnelCount ?? 0,
    lastErrorCode: link.lastErrorCode,
  };
}
