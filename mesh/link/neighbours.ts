// The neighbours of this node: its parents, the children that it dials, and whoever dials it. Keeps a connector for
// every link that this node dials, and decides which links have the fast heartbeat.
import { background } from '../../lib/async/background.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { MeshLimits } from '../limits.ts';
import type { Trust } from '../trust.ts';
import type { DialAssignment, ParentConfig, ParentStatus } from '../types.ts';
import type { ByteCounter } from './connection.ts';
import { Connector } from './connector.ts';
import type { Relation } from './hello.ts';
import type { DialTarget } from './outbound-link.ts';
import type { LinkSession } from './session.ts';
import { LinkTable, type Link } from './table.ts';

export interface NeighboursDeps {
  readonly trust: Trust;
  readonly limits: MeshLimits;
  readonly log: Logger;
  dial(target: DialTarget, counter: ByteCounter, signal: AbortSignal): Promise<LinkSession>;
  /** Called with each admitted session before it starts. */
  onAdmitted(session: LinkSession): void;
}

interface ParentLink {
  readonly config: ParentConfig;
  readonly link: Link;
  /** Absent where the parent dials this node. */
  readonly connector: Connector | undefined;
}

export class Neighbours {
  readonly table = new LinkTable();
  readonly #deps: NeighboursDeps;
  /** In order of preference. */
  #parents: ParentLink[] = [];
  /** The children that this node dials. */
  readonly #children = new Map<string, Connector>();
  /** Sessions of children that request the fast heartbeat. */
  readonly #fastChildren = new Set<LinkSession>();
  readonly #watchers = new Set<() => void>();
  #stopped = false;

  constructor(deps: NeighboursDeps) {
    this.#deps = deps;
  }

  /** The ids of the parents, in order of preference. */
  get parentNames(): readonly string[] {
    return this.#parents.map(({ config }) => config.node);
  }

  parents(): readonly ParentStatus[] {
    return this.#parents.map(({ config, link }) => ({
      ...config,
      up: link.session !== undefined,
      lastErrorCode: link.lastErrorCode,
    }));
  }

  /** Calls back after a link came up or went down; returns a function that stops it. */
  onChange(callback: () => void): () => void {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  /** As `Mesh.assignParents`. */
  assignParents(parents: readonly ParentConfig[]): void {
    if (this.#stopped) return;
    const before = this.#parents;
    const isSame = (a: ParentConfig, b: ParentConfig) => a.node === b.node && a.address === b.address;
    const kept = parents.map((config) => before.find((parent) => isSame(parent.config, config)));
    const removed = before.filter((parent) => !kept.includes(parent));
    this.#parents = parents.map((config, index) => {
      const { node, address } = config;
      const link = kept[index]?.link ?? this.table.add(node, 'parent', address === undefined ? 'peer' : 'us', address);
      return { config, link, connector: kept[index]?.connector };
    });
    // Only when all are listed: whether a connector may start, and its heartbeat, depend on the other parents.
    this.#parents = this.#parents.map(({ config, link, connector }) => ({
      config,
      link,
      connector: connector ?? (config.address === undefined ? undefined : this.#connect(link, config.address)),
    }));
    for (const { link, connector } of removed) {
      if (connector !== undefined) this.#drop(connector);
      link.session?.end(new IsthmusError('CANCELLED', 'the link is no longer wanted'), true);
      this.table.remove(link);
    }
    this.#updateHeartbeats();
    this.#changed();
  }

  /** As `Mesh.assignDials`. */
  assignDials(assignments: readonly DialAssignment[]): void {
    if (this.#stopped) return;
    const wanted = new Map(assignments.map(({ node, address }) => [node, address]));
    for (const [node, connector] of this.#children) {
      if (wanted.get(node) === connector.link.address) continue;
      this.#children.delete(node);
      this.#drop(connector);
      this.table.remove(connector.link);
    }
    for (const [node, address] of wanted) {
      if (this.#children.has(node)) continue;
      this.#children.set(node, this.#connect(this.table.add(node, 'child', 'us', address), address));
    }
  }

  /** The address at which this node dials a child; undefined when it does not. */
  dialAddress(node: string): string | undefined {
    return this.#children.get(node)?.link.address;
  }

  /** Puts a session into the table and starts it; the newest session of a neighbour wins. */
  admit(link: Link, session: LinkSession): void {
    // Its connection may have closed during the last step of its handshake.
    if (session.signal.aborted) return;
    const { trust, log } = this.#deps;
    if (this.#stopped || trust.revocations.isRevoked(session.facts.peer)) {
      session.end(new IsthmusError('CANCELLED', 'the link is not wanted'));
      return;
    }
    this.table.admit(link, session);
    const { peer, relation, wireVersion } = session.facts;
    const dialledBy = link.dialledBy === 'us' ? trust.identity.current().node : peer.node;
    log.info({ peer: peer.node, role: peer.role, relation, dialledBy, wireVersion }, 'link up');
    this.#deps.onAdmitted(session);
    session.start();
    session.wantsFastHeartbeat = this.wantsFastHeartbeat(relation);
    this.#changed();
  }

  /** Takes an ended session out of the table. */
  ended(session: LinkSession, error: IsthmusError): void {
    this.table.ended(session, error);
    if (this.#fastChildren.delete(session)) this.#updateHeartbeats();
    this.#changed();
  }

  /**
   * Whether this node requests the fast heartbeat on a link: on one of several to its parents, or on a path down to a
   * node that has another path. So a request from below reaches the server hop by hop.
   */
  wantsFastHeartbeat(relation: Relation): boolean {
    return relation === 'parent' && (this.#parents.length > 1 || this.#fastChildren.size > 0);
  }

  /** A child requests the fast heartbeat, or no longer: passes that on to the parents. */
  fastHeartbeatChanged(session: LinkSession): void {
    if (session.facts.relation !== 'child' || session.signal.aborted) return;
    if (session.peerWantsFastHeartbeat) this.#fastChildren.add(session);
    else this.#fastChildren.delete(session);
    this.#updateHeartbeats();
  }

  /** Stops all connectors, then ends all sessions. */
  async stop(error: IsthmusError): Promise<void> {
    this.#stopped = true;
    const connectors = [...this.#parents.map(({ connector }) => connector), ...this.#children.values()];
    await Promise.all(connectors.flatMap((connector) => connector?.stop() ?? []));
    for (const session of [...this.table.sessions()]) session.end(error, true);
  }

  #connect(link: Link, address: string): Connector {
    const { limits, log } = this.#deps;
    const { name, relation } = link;
    const target = { node: name, address, relation, fastHeartbeat: this.wantsFastHeartbeat(relation) };
    return new Connector(link, {
      limits,
      log,
      dial: (signal) => this.#deps.dial(target, link.counter, signal),
      serve: (session) => this.admit(link, session),
      whenFree: (signal) => this.#whenFree(link, signal),
    });
  }

  /**
   * Waits while the neighbour has a session that it dialled itself, or one over a preferred address: a preferred
   * address of a parent replaces the others, never the other way round.
   */
  #whenFree(link: Link, signal: AbortSignal): Promise<void> {
    const { name } = link;
    return new Promise((resolve, reject) => {
      const look = () => {
        const live = this.table.liveLink(name);
        if (!signal.aborted && live !== undefined && !this.#isPreferred(link, live)) return;
        this.#watchers.delete(look);
        signal.removeEventListener('abort', look);
        if (signal.aborted) reject(IsthmusError.from(signal.reason));
        else resolve();
      };
      this.#watchers.add(look);
      signal.addEventListener('abort', look, { once: true });
      look();
    });
  }

  /** Whether `link`, one of two to the same parent, is named before the other, or the other is not named at all. */
  #isPreferred(link: Link, other: Link): boolean {
    const rankOf = (wanted: Link) => this.#parents.findIndex((parent) => parent.link === wanted);
    if (rankOf(link) === -1 || other.relation !== 'parent') return false;
    return rankOf(other) === -1 || rankOf(link) < rankOf(other);
  }

  #updateHeartbeats(): void {
    for (const session of this.table.sessions()) {
      session.wantsFastHeartbeat = this.wantsFastHeartbeat(session.facts.relation);
    }
  }

  #drop(connector: Connector): void {
    background('link.stop', this.#deps.log, () => connector.stop());
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) background('links.listener', this.#deps.log, watcher);
  }
}
