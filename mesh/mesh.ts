// The mesh of one node: its links, its one port, and the tunnels over them.
//
//   link/      acceptor.ts takes connections, dialler.ts keeps dialled links, session.ts is a live link, table.ts has all
//   tunnel/    control.ts and bulk.ts are tunnels on one link, window.ts bounds bulk, inner.ts is TLS between the ends,
//              ends.ts has those that end here, credentials.ts carries them on when certificates are renewed
//   enrol/     how nodes without a certificate get through
//   parents.ts goes over to other parents, which report.ts hears of
//   routing.ts where a tunnel may go; switch.ts takes it there; refusals.ts keeps what was refused
import type { Duplex } from 'node:stream';
import type { IdentityStore } from '../certs/identity.ts';
import { roles } from '../certs/peer.ts';
import type { RevocationList } from '../certs/revocations.ts';
import { withDeadline } from '../lib/async/deadline.ts';
import { IsthmusError } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { RevocationList__Output as RevocationListMessage } from '../proto/gen/isthmus/mesh/v1/RevocationList.ts';
import { echoService, serveEcho } from './echo.ts';
import { openEnrolDoor } from './enrol/door.ts';
import { EnrolGate } from './enrol/gate.ts';
import { LinkServer } from './link/accepted.ts';
import { startAcceptor, type Acceptor } from './link/acceptor.ts';
import type { LinkContext } from './link/context.ts';
import { LinkCredentials } from './link/credentials.ts';
import { dialSession } from './link/dialled.ts';
import { Dialler } from './link/dialler.ts';
import type { Relation } from './link/hello.ts';
import type { LinkSession } from './link/session.ts';
import { LinkTable, type Link } from './link/table.ts';
import { defaultLimits, type MeshLimits } from './limits.ts';
import type { Neighbour, RoutingNode } from './routing.ts';
import { Refusals } from './refusals.ts';
import { Switch } from './switch.ts';
import { credentialService, InnerCredentials } from './tunnel/credentials.ts';
import { callInner, type InnerTrust } from './tunnel/inner.ts';
import type { TunnelRequest } from './tunnel/request.ts';
import type {
  DialAssignment,
  DialOptions,
  Mesh,
  MeshConfig,
  MeshStream,
  ParentConfig,
  ParentStatus,
  ServicePolicy,
} from './types.ts';

/** Bounds what one stalled control tunnel leaves in a relay's memory; 1 MiB still moves 3 MB/s over 300 ms. */
const controlWindowBytes = 1024 * 1024;

export interface MeshDeps {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly log: Logger;
  /** Whether this node carries tunnels for others. */
  readonly relaying: boolean;
  readonly softwareVersion?: string;
  /** Where refusals are kept; without it, in memory. */
  readonly refusals?: Refusals;
  /** The relays to cross to a node, next first, when `dial` is given no path. */
  readonly resolvePath?: (destination: string) => readonly string[] | Promise<readonly string[]>;
  readonly limits?: Partial<MeshLimits>;
}

/** Starts the mesh of one node. It is up when its port is open; links come up by themselves. */
export async function createMesh(config: MeshConfig, deps: MeshDeps): Promise<Mesh> {
  const mesh = new MeshNode(config, deps);
  try {
    await mesh.start();
    return mesh;
  } catch (thrown) {
    await mesh.stop();
    throw thrown;
  }
}

interface ParentLink {
  readonly config: ParentConfig;
  readonly link: Link;
  /** Absent where the parent dials this node. */
  readonly dialler: Dialler | undefined;
}

class MeshNode implements Mesh {
  readonly refusals: Refusals;
  readonly #config: MeshConfig;
  readonly #deps: MeshDeps;
  readonly #limits: MeshLimits;
  readonly #trust: InnerTrust;
  readonly #table = new LinkTable();
  readonly #context: LinkContext;
  readonly #server: LinkServer;
  readonly #credentials: LinkCredentials;
  readonly #gate: EnrolGate;
  readonly #switch: Switch;
  readonly #innerCredentials: InnerCredentials;
  /** In order of preference. */
  #parents: ParentLink[] = [];
  readonly #children = new Map<string, Dialler>();
  /** Sessions of children that want to be watched each second. */
  readonly #fastChildren = new Set<LinkSession>();
  readonly #watchers = new Set<() => void>();
  readonly #stopping = new AbortController();
  readonly #unsubscribe: () => void;
  #acceptor: Acceptor | undefined;
  #stopped: Promise<void> | undefined;

  constructor(config: MeshConfig, deps: MeshDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...deps.limits };
    this.refusals = deps.refusals ?? new Refusals();
    this.#trust = { identity: deps.identity, revocations: deps.revocations, refusals: this.refusals };
    const { node, role } = deps.identity.current();
    const softwareVersion = deps.softwareVersion ?? 'unknown';
    const parentNames = (): string[] => this.#parents.map(({ config: { node: parent } }) => parent);
    this.#context = {
      trust: this.#trust,
      kinship: {
        node,
        role,
        get parents() {
          return parentNames();
        },
      },
      limits: this.#limits,
      softwareVersion,
      windowBytes: controlWindowBytes,
      hooks: {
        incoming: (session, tunnel) => this.#switch.incoming(session, tunnel),
        revocations: (session, list) => this.#offered(session, list),
        credential: (session, credential) => this.#credentials.received(session, credential),
        paceAsked: (session) => this.#paceAsked(session),
        ended: (session, error) => {
          this.#table.ended(session, error);
          if (this.#fastChildren.delete(session)) this.#pace();
          this.#changed();
        },
      },
      log: deps.log,
      helloFacts: () => ({ revocationsVersion: deps.revocations.version, softwareVersion }),
    };
    this.#credentials = new LinkCredentials(this.#trust, deps.log);
    this.#gate = new EnrolGate(this.#limits.enrol);
    this.#switch = new Switch({
      routing: this.#routing(node, role),
      trust: this.#trust,
      gate: this.#gate,
      openMs: this.#limits.openMs,
      log: deps.log,
      session: (name) => this.#table.live(name),
      dialAddress: (name) => this.#children.get(name)?.link.address,
    });
    this.#server = new LinkServer(this.#context, {
      check: (peer, hello) => this.#table.check(peer, hello),
      counter: (peer, hello) => this.#table.accepted(peer, hello.relation).counter,
      isFast: (_peer, hello) => this.#isFast(hello.relation),
      admit: (session) => this.#admit(this.#table.accepted(session.facts.peer, session.facts.relation), session),
    });
    this.#unsubscribe = deps.revocations.onChange(() => this.#revocationsChanged());
    const { ends } = this.#switch;
    const dial = (options: DialOptions) => this.dial(options);
    this.#innerCredentials = new InnerCredentials({ trust: this.#trust, ends, log: deps.log, dial });
    this.#switch.listen(credentialService, { roles }, (stream) => void this.#innerCredentials.answer(stream));
    this.#switch.listen(echoService, { roles }, (stream) => {
      serveEcho(stream, () => {
        const { notAfterMs } = deps.identity.peer();
        return { node, softwareVersion, certificateNotAfterMs: notAfterMs };
      });
    });
  }

  async start(): Promise<void> {
    const { listen, parents, dials } = this.#config;
    // Before the port opens: who dials this node must be known for a parent.
    this.assignParents(parents);
    if (listen !== undefined) {
      const { log } = this.#deps;
      const { node } = this.#context.kinship;
      this.#acceptor = await startAcceptor(
        listen,
        this.#trust,
        this.#limits,
        {
          link: (connection, peer) => this.#server.link(connection, peer),
          bulk: (connection, peer) => this.#server.bulk(connection, peer),
          refuseLink: (connection, error) => this.#server.refuseLink(connection, error),
          enrol: (connection) =>
            openEnrolDoor(connection, {
              node,
              gate: this.#gate,
              openMs: this.#limits.openMs,
              log,
              refusals: this.refusals,
              carry: (request, accept, signal) => this.#switch.carryEnrol(request, accept, signal),
            }),
        },
        log,
      );
    }
    this.assignDials(dials);
  }

  get address(): string | undefined {
    return this.#acceptor?.address;
  }

  async dial(options: DialOptions): Promise<MeshStream> {
    const { node, service } = options;
    return this.#dialling(options, async (signal) => {
      const request = await this.#request(options);
      const carrier = await this.#switch.open(request, signal);
      const cut = () => carrier.destroy();
      signal.addEventListener('abort', cut, { once: true });
      try {
        if (signal.aborted) cut();
        const stream = await callInner(carrier, this.#trust, { node, service, by: request.path[0] ?? node });
        this.#switch.ends.add(stream, 'here');
        if (service !== credentialService) this.#innerCredentials.keep(stream, { node, path: options.path });
        return stream;
      } catch (thrown) {
        throw signal.aborted ? signal.reason : thrown;
      } finally {
        signal.removeEventListener('abort', cut);
      }
    });
  }

  async dialEnrol(options: Pick<DialOptions, 'node' | 'path' | 'deadlineMs' | 'signal'>): Promise<Duplex> {
    return this.#dialling(options, async (signal) =>
      this.#switch.open(await this.#request({ ...options, service: 'enrol', class: 'control' }), signal),
    );
  }

  listen(service: string, policy: ServicePolicy, onStream: (stream: MeshStream) => void): void {
    this.#switch.listen(service, policy, onStream);
  }

  listenEnrol(onStream: (stream: Duplex) => void): void {
    this.#switch.listenEnrol(onStream);
  }

  links() {
    return this.#table.status();
  }

  onLinksChanged(callback: () => void): () => void {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  parents(): readonly ParentStatus[] {
    return this.#parents.map(({ config, link }) => ({
      ...config,
      up: link.session !== undefined,
      lastErrorCode: link.lastErrorCode,
    }));
  }

  assignParents(parents: readonly ParentConfig[]): void {
    if (this.#stopping.signal.aborted) return;
    const before = this.#parents;
    const isSame = (a: ParentConfig, b: ParentConfig) => a.node === b.node && a.address === b.address;
    const kept = parents.map((config) => before.find((parent) => isSame(parent.config, config)));
    const gone = before.filter((parent) => !kept.includes(parent));
    this.#parents = parents.map((config, index) => {
      const { node, address } = config;
      const link = kept[index]?.link ?? this.#table.add(node, 'parent', address === undefined ? 'peer' : 'us', address);
      return { config, link, dialler: kept[index]?.dialler };
    });
    // Only now, when all of them are there: whether a dialler may begin, and how often it beats, depends on the others.
    this.#parents = this.#parents.map(({ config, link, dialler }) => ({
      config,
      link,
      dialler: dialler ?? (config.address === undefined ? undefined : this.#keep(link, config.address)),
    }));
    for (const { link, dialler } of gone) {
      if (dialler !== undefined) void dialler.stop();
      link.session?.end(new IsthmusError('CANCELLED', 'the link is no longer wanted'), true);
      this.#table.remove(link);
    }
    this.#pace();
    this.#changed();
  }

  assignDials(assignments: readonly DialAssignment[]): void {
    if (this.#stopping.signal.aborted) return;
    const wanted = new Map(assignments.map(({ node, address }) => [node, address]));
    for (const [node, dialler] of this.#children) {
      if (wanted.get(node) === dialler.link.address) continue;
      this.#children.delete(node);
      void dialler.stop();
      this.#table.remove(dialler.link);
    }
    for (const [node, address] of wanted) {
      if (this.#children.has(node)) continue;
      this.#children.set(node, this.#keep(this.#table.add(node, 'child', 'us', address), address));
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const gone = new IsthmusError('CANCELLED', 'the node goes away');
    this.#stopping.abort(gone);
    this.#unsubscribe();
    this.#credentials.stop();
    this.#switch.stop();
    const diallers = [...this.#parents.map(({ dialler }) => dialler), ...this.#children.values()];
    await Promise.all(diallers.flatMap((dialler) => dialler?.stop() ?? []));
    for (const session of [...this.#table.sessions()]) session.end(gone, true);
    await this.#server.stop();
    await this.#acceptor?.stop();
  }

  async #request(options: Omit<DialOptions, 'signal'>): Promise<TunnelRequest> {
    const { node, service, class: serviceClass, deadlineMs } = options;
    const path = options.path ?? (await this.#deps.resolvePath?.(node)) ?? [];
    const source = this.#context.kinship.node;
    return { source, destination: node, path, crossed: [], service, serviceClass, deadlineMs };
  }

  async #dialling<T>(
    { node, deadlineMs, signal }: Pick<DialOptions, 'node' | 'deadlineMs' | 'signal'>,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const late = () =>
      new IsthmusError('DEADLINE_EXCEEDED', `no answer from ${node} within ${deadlineMs} ms`, { hop: node });
    const signals = [this.#stopping.signal, ...(signal === undefined ? [] : [signal])];
    try {
      return await withDeadline({ ms: deadlineMs, late, signals }, (any) => {
        any.throwIfAborted();
        return run(any);
      });
    } catch (thrown) {
      if (signal?.aborted === true) throw new IsthmusError('CANCELLED', 'the caller gave up', { cause: thrown });
      throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: node });
    }
  }

  #keep(link: Link, address: string): Dialler {
    const { name, relation } = link;
    const target = { node: name, address, relation, fast: this.#isFast(relation) };
    return new Dialler(link, {
      limits: this.#limits,
      log: this.#deps.log,
      dial: (signal) => dialSession(this.#context, target, link.counter, signal),
      serve: (session) => this.#admit(link, session),
      free: (signal) => this.#free(link, name, signal),
    });
  }

  /** Whether of two links to one parent the first is named before the second, or the second not at all. */
  #isPreferred(link: Link, to: Link): boolean {
    const place = (wanted: Link) => this.#parents.findIndex((parent) => parent.link === wanted);
    if (place(link) === -1 || to.relation !== 'parent') return false;
    return place(to) === -1 || place(link) < place(to);
  }

  #admit(link: Link, session: LinkSession): void {
    // Its connection may have gone while the last of its handshake was waited for.
    if (session.signal.aborted) return;
    if (this.#stopping.signal.aborted || this.#trust.revocations.isRevoked(session.facts.peer)) {
      session.end(new IsthmusError('CANCELLED', 'the link is not wanted'));
      return;
    }
    this.#table.admit(link, session);
    const { peer, relation } = session.facts;
    const { node } = this.#deps.identity.current();
    const dialledBy = link.dialledBy === 'us' ? node : peer.node;
    this.#deps.log.info({ peer: peer.node, role: peer.role, relation, dialledBy }, 'link up');
    this.#credentials.add(session);
    session.start();
    session.wantsFast = this.#isFast(relation);
    this.#changed();
  }

  /**
   * Waits while the neighbour has a session that it dialled itself, or that goes over an address which comes before this
   * one: an address of a parent that is preferred takes over from the others, and never the other way round.
   */
  #free(link: Link, node: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const live = this.#table.liveLink(node);
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

  /**
   * Whether this node wants a link watched each second: one of several to its parents, or one on a way down to a node that
   * has another way. What neighbours below want reaches the server from hop to hop.
   */
  #isFast(relation: Relation): boolean {
    return relation === 'parent' && (this.#parents.length > 1 || this.#fastChildren.size > 0);
  }

  #paceAsked(session: LinkSession): void {
    if (session.facts.relation !== 'child' || session.signal.aborted) return;
    if (session.peerWantsFast) this.#fastChildren.add(session);
    else this.#fastChildren.delete(session);
    this.#pace();
  }

  #pace(): void {
    for (const session of this.#table.sessions()) session.wantsFast = this.#isFast(session.facts.relation);
  }

  #offered(session: LinkSession, { statement, signature }: RevocationListMessage): void {
    const { revocations } = this.#trust;
    const list = Buffer.isBuffer(statement) && Buffer.isBuffer(signature) ? { statement, signature } : undefined;
    if (list === undefined || revocations.merge(list) === 'invalid') {
      const error = new IsthmusError('PROTOCOL', `${session.facts.peer.node} sent an invalid revocation list`);
      this.refusals.note(error, session.facts.peer.node, 'link');
      session.end(error, true);
    }
  }

  #revocationsChanged(): void {
    const { revocations } = this.#trust;
    for (const session of [...this.#table.sessions()]) {
      const { peer } = session.facts;
      if (revocations.isRevoked(peer)) {
        session.end(new IsthmusError('PEER_CERTIFICATE_REVOKED', `the certificate of ${peer.node} is revoked`));
      } else {
        const list = revocations.encode();
        if (list !== undefined) session.send({ revocations: list });
      }
    }
    this.#switch.closeRevoked();
  }

  #changed(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  #routing(node: string, role: RoutingNode['role']): RoutingNode {
    const neighbourOf = ({ facts: { peer, relation } }: LinkSession): Neighbour => ({ ...peer, relation });
    return {
      node,
      role,
      relaying: this.#deps.relaying,
      // A server has none; every other node has some.
      hasParents: this.#config.parents.length > 0,
      neighbour: (name) => {
        const session = this.#table.live(name);
        return session && neighbourOf(session);
      },
      parents: () => this.#table.parents(this.#context.kinship.parents).map(neighbourOf),
      canDialUnenrolled: (name) => this.#children.has(name),
    };
  }
}
