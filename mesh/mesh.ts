// The mesh of one node: its links, its one port, and the tunnels over them.
//
//   link/      acceptor.ts takes connections, dialler.ts keeps dialled links, session.ts is a live link, table.ts has all
//   tunnel/    control.ts and bulk.ts are tunnels on one link, window.ts bounds bulk, inner.ts is TLS between the ends,
//              ends.ts has those that end here, credentials.ts carries them on when certificates are renewed
//   enrol/     how nodes without a certificate get through
//   routing.ts where a tunnel may go; switch.ts takes it there; refusals.ts keeps what was refused
import type { Duplex } from 'node:stream';
import type { IdentityStore } from '../certs/identity.ts';
import { roles } from '../certs/peer.ts';
import type { RevocationList } from '../certs/revocations.ts';
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
import type { DialAssignment, DialOptions, Mesh, MeshConfig, MeshStream, ServicePolicy } from './types.ts';

/** Bounds what one stalled control tunnel leaves in a relay's memory; 1 MiB still moves 3 MB/s over 300 ms. */
const controlWindowBytes = 1024 * 1024;

export interface MeshDeps {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly log: Logger;
  /** Whether this node carries tunnels for others. */
  readonly relaying: boolean;
  readonly softwareVersion?: string;
  /** The relays to cross to a node, next first, when `dial` is given no path. */
  readonly resolvePath?: (destination: string) => readonly string[] | Promise<readonly string[]>;
  readonly limits?: Partial<MeshLimits>;
}

/** Starts the mesh of one node. It is up when its port is open; links come up by themselves. */
export async function createMesh(config: MeshConfig, deps: MeshDeps): Promise<Mesh> {
  const mesh = new MeshNode(config, deps);
  await mesh.start();
  return mesh;
}

class MeshNode implements Mesh {
  readonly refusals = new Refusals();
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
  readonly #parents: Dialler[] = [];
  readonly #children = new Map<string, Dialler>();
  readonly #watchers = new Set<() => void>();
  readonly #stopping = new AbortController();
  readonly #unsubscribe: () => void;
  #acceptor: Acceptor | undefined;
  #stopped: Promise<void> | undefined;

  constructor(config: MeshConfig, deps: MeshDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#limits = { ...defaultLimits, ...deps.limits };
    this.#trust = { identity: deps.identity, revocations: deps.revocations, refusals: this.refusals };
    const { node, role } = deps.identity.current();
    const softwareVersion = deps.softwareVersion ?? 'unknown';
    this.#context = {
      trust: this.#trust,
      kinship: { node, role, parents: config.parents.map((parent) => parent.node) },
      limits: this.#limits,
      softwareVersion,
      windowBytes: controlWindowBytes,
      hooks: {
        incoming: (session, tunnel) => this.#switch.incoming(session, tunnel),
        revocations: (session, list) => this.#offered(session, list),
        credential: (session, credential) => this.#credentials.received(session, credential),
        paceAsked: () => this.#pace(),
        ended: (session, error) => {
          this.#table.ended(session, error);
          this.#pace();
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
    for (const { node, address } of parents) {
      const link = this.#table.add(node, 'parent', address === undefined ? 'peer' : 'us', address);
      if (address !== undefined) this.#parents.push(this.#keep(link, address));
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
    await Promise.all([...this.#parents, ...this.#children.values()].map((dialler) => dialler.stop()));
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
    const deadline = new AbortController();
    const late = new IsthmusError('DEADLINE_EXCEEDED', `no answer from ${node} within ${deadlineMs} ms`, { hop: node });
    const timer = setTimeout(() => deadline.abort(late), deadlineMs);
    const signals = [deadline.signal, this.#stopping.signal];
    if (signal !== undefined) signals.push(signal);
    const any = AbortSignal.any(signals);
    try {
      any.throwIfAborted();
      return await run(any);
    } catch (thrown) {
      if (signal?.aborted === true) throw new IsthmusError('CANCELLED', 'the caller gave up', { cause: thrown });
      throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: node });
    } finally {
      clearTimeout(timer);
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
      free: (signal) => this.#free(name, signal),
    });
  }

  #admit(link: Link, session: LinkSession): void {
    if (this.#stopping.signal.aborted || this.#trust.revocations.isRevoked(session.facts.peer)) {
      session.end(new IsthmusError('CANCELLED', 'the link is not wanted'));
      return;
    }
    this.#table.admit(link, session);
    const { peer, relation } = session.facts;
    this.#deps.log.info({ peer: peer.node, role: peer.role, relation, dialledBy: link.dialledBy }, 'link up');
    this.#credentials.add(session);
    session.start();
    this.#pace();
    this.#changed();
  }

  /** Waits while the neighbour has a session that it dialled itself. */
  #free(node: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!signal.aborted && this.#table.live(node) !== undefined) return;
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
    if (relation !== 'parent') return false;
    if (this.#config.parents.length > 1) return true;
    return [...this.#table.sessions()].some(({ facts, peerWantsFast }) => facts.relation === 'child' && peerWantsFast);
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
    const preferred = this.#config.parents.map((parent) => parent.node);
    return {
      node,
      role,
      relaying: this.#deps.relaying,
      hasParents: preferred.length > 0,
      neighbour: (name) => {
        const session = this.#table.live(name);
        return session && neighbourOf(session);
      },
      parents: () => this.#table.parents(preferred).map(neighbourOf),
      canDialUnenrolled: (name) => this.#children.has(name),
    };
  }
}
