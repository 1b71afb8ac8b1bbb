// The mesh of one node: its links, its port and the tunnels over them. The rooms, lowest first; imports only go down:
//
//   the files beside this one   the interface (types.ts), limits, denials, services, the wire's messages and version
//   tunnel/     the streams of a tunnel on one link: control, bulk and its window, the request that opens it
//   link/       sessions with neighbours that carry tunnels: listener, connector, heartbeat, the table of links
//   e2e/        TLS between the endpoints of a tunnel, and the services behind it
//   enrolment/  peers without a certificate: limits, the listener, streams in and out
//   routing/    where a tunnel may go (rules.ts), and taking it there (forwarder.ts)
//   echo.ts, mesh.ts
//
// e2e/ and enrolment/ do not import each other; enrolment/ takes connections from link/, e2e/ needs tunnel/ only.
import type { Duplex } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { background } from '../lib/async/background.ts';
import type { IdentityStore } from '../certs/identity.ts';
import type { RevocationList } from '../certs/revocations.ts';
import { withDeadline } from '../lib/async/deadline.ts';
import { pauseUntil } from '../lib/async/waiting.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { RevocationList__Output as RevocationListMessage } from '../proto/gen/isthmus/mesh/v1/RevocationList.ts';
import { Denials } from './denials.ts';
import { SessionCredentials } from './e2e/credentials.ts';
import { ServiceHost } from './e2e/service-host.ts';
import { openSession } from './e2e/session.ts';
import { serveEcho } from './echo.ts';
import { serveEnrolment } from './enrolment/listener.ts';
import { EnrolmentLimiter } from './enrolment/rate-limiter.ts';
import type { LinkContext } from './link/context.ts';
import { admitChildStart } from './link/child-starts.ts';
import { LinkCredentials } from './link/credentials.ts';
import { KeptWindows } from './link/kept-windows.ts';
import { InboundLinks } from './link/inbound-link.ts';
import { startListener, type InboundConnection, type PortListener } from './link/listener.ts';
import { Neighbours } from './link/neighbours.ts';
import { openOutboundLink } from './link/outbound-link.ts';
import type { LinkSession } from './link/session.ts';
import { DEFAULT_LIMITS, type MeshLimits } from './limits.ts';
import { Forwarder } from './routing/forwarder.ts';
import type { Neighbour, RoutingNode } from './routing/rules.ts';
import {
  CREDENTIAL_SERVICE,
  ECHO_SERVICE,
  ENROL_SERVICE,
  serviceTable,
  type ServiceRule,
  type ServiceTable,
} from './services.ts';
import type { StartPolicy } from './starts.ts';
import type { Trust } from './trust.ts';
import type { TunnelRequest } from './tunnel/request.ts';
import type {
  DialAssignment,
  DialOptions,
  LinkStatus,
  Mesh,
  MeshConfig,
  MeshStream,
  ParentConfig,
  ParentStatus,
} from './types.ts';

/** How long a parent that dropped a tunnel's bytes comes after the others, and how many are remembered. */
const SILENT_MS = 60_000;
const MOST_SILENT = 64;
/** A dial that waited for less says nothing about its path. */
const LEAST_SILENCE_MS = 5_000;

/** Bounds what one stalled control tunnel leaves in a relay's memory; 1 MiB still moves 3 MB/s over 300 ms. */
const CONTROL_WINDOW_BYTES = 1024 * 1024;

export interface MeshDeps {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly log: Logger;
  /** Whether this node forwards tunnels of others. */
  readonly relaying: boolean;
  /** The services above the mesh: who may open each, and towards whom. */
  readonly services: Readonly<Record<string, ServiceRule>>;
  readonly softwareVersion?: string;
  /** Servers only: which start of a node may act as it. */
  readonly starts?: StartPolicy;
  /** Without it, denials are kept in memory. */
  readonly denials?: Denials;
  /** The bulk windows of earlier sessions; without it, of this process only. */
  readonly windows?: KeptWindows | undefined;
  /** The relays to cross to a node, next first, when `dial` gets no path. */
  readonly resolvePath?: (destination: string) => readonly string[] | Promise<readonly string[]>;
  readonly limits?: Partial<MeshLimits>;
}

/** Starts the mesh of one node. It resolves once the port is open; links come up in the background. */
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

class MeshNode implements Mesh {
  readonly denials: Denials;
  readonly #config: MeshConfig;
  readonly #deps: MeshDeps;
  readonly #limits: MeshLimits;
  readonly #trust: Trust;
  readonly #context: LinkContext;
  readonly #neighbours: Neighbours;
  readonly #inbound: InboundLinks;
  readonly #linkCredentials: LinkCredentials;
  readonly #enrolmentLimiter: EnrolmentLimiter;
  readonly #host: ServiceHost;
  readonly #forwarder: Forwarder;
  readonly #sessionCredentials: SessionCredentials;
  /** Parents that dropped what a tunnel of this node carried, while their links were up; for a minute. */
  readonly #silentParents = new LRUCache<string, true>({ max: MOST_SILENT, ttl: SILENT_MS });
  readonly #stopping = new AbortController();
  readonly #unsubscribe: () => void;
  #listener: PortListener | undefined;
  #stopped: Promise<void> | undefined;

  constructor(config: MeshConfig, deps: MeshDeps) {
    const { identity, revocations, log } = deps;
    this.#config = config;
    this.#deps = deps;
    this.#limits = { ...DEFAULT_LIMITS, ...deps.limits };
    this.denials = deps.denials ?? new Denials();
    this.#trust = { identity, revocations, denials: this.denials, ...this.#startsFor(deps.starts) };
    const [trust, limits] = [this.#trust, this.#limits];
    const services = serviceTable(deps.services);
    this.#context = this.#linkContext();
    this.#linkCredentials = new LinkCredentials(trust, log);
    this.#neighbours = new Neighbours({
      ...{ trust, limits, log },
      dial: (target, counter, signal) => openOutboundLink(this.#context, target, counter, signal),
      onAdmitted: (session) => this.#linkCredentials.add(session),
    });
    const { table } = this.#neighbours;
    this.#inbound = new InboundLinks(this.#context, {
      check: (peer, hello) => table.check(peer, hello),
      counter: (peer, hello) => table.inbound(peer, hello.relation).counter,
      wantsFastHeartbeat: (hello) => this.#neighbours.wantsFastHeartbeat(hello.relation),
      admit: (session) => this.#neighbours.admit(table.inbound(session.facts.peer, session.facts.relation), session),
    });
    this.#host = new ServiceHost({ services, trust, log });
    this.#enrolmentLimiter = new EnrolmentLimiter(limits.enrol);
    this.#forwarder = new Forwarder({
      routing: this.#routing(services),
      ...{ trust, log, host: this.#host, enrolmentLimiter: this.#enrolmentLimiter },
      session: (name) => table.live(name),
      dialAddress: (name) => this.#neighbours.dialAddress(name),
    });
    const dial = (options: DialOptions) => this.dial(options);
    this.#sessionCredentials = new SessionCredentials({ trust, log, sessions: this.#host.sessions, dial });
    this.#unsubscribe = revocations.onChange(() => this.#revocationsChanged());
    this.listen(CREDENTIAL_SERVICE, (stream) =>
      background('session.credential', log, () => this.#sessionCredentials.answer(stream)),
    );
    this.listen(ECHO_SERVICE, (stream) => {
      const { node } = identity.current();
      const { softwareVersion } = this.#context;
      serveEcho(stream, () => ({ node, softwareVersion, certificateNotAfterMs: identity.peer().notAfterMs }));
    });
  }

  async start(): Promise<void> {
    const { listen, parents, dials } = this.#config;
    // Before the port opens, so that a parent which dials this node is known as one.
    this.assignParents(parents);
    if (listen !== undefined) this.#listener = await this.#listen(listen);
    this.assignDials(dials);
  }

  get address(): string | undefined {
    return this.#listener?.address;
  }

  async dial(options: DialOptions): Promise<MeshStream> {
    const { node, service } = options;
    return this.#withDeadline(options, async (signal) => {
      const request = await this.#request(options);
      const parent = this.#liveParents()[0]?.facts.peer.node;
      const transport = await this.#forwarder.open(request, signal);
      const cut = () => transport.destroy();
      signal.addEventListener('abort', cut, { once: true });
      const fellSilent = (): void => {
        if (parent !== undefined) this.#silentParents.set(parent, true);
      };
      const onFault = ({ code }: IsthmusError): void => {
        if (code === 'TUNNEL_SILENT') fellSilent();
      };
      try {
        if (signal.aborted) cut();
        const target = { node, service, by: request.path[0] ?? node, via: request.path.at(-1) ?? node, onFault };
        const stream = await openSession(transport, this.#trust, target);
        this.#host.sessions.add(stream, 'here');
        if (service !== CREDENTIAL_SERVICE) this.#sessionCredentials.keep(stream, { node, path: options.path });
        return stream;
      } catch (thrown) {
        if (!signal.aborted) throw thrown;
        // The tunnel is open, and its other endpoint does not answer.
        const { code } = IsthmusError.from(signal.reason);
        if (code === 'DEADLINE_EXCEEDED' && options.deadlineMs >= LEAST_SILENCE_MS) fellSilent();
        throw signal.reason;
      } finally {
        signal.removeEventListener('abort', cut);
      }
    });
  }

  async dialEnrol(options: Pick<DialOptions, 'node' | 'path' | 'deadlineMs' | 'signal'>): Promise<Duplex> {
    return this.#withDeadline(options, async (signal) => {
      const request = await this.#request({ ...options, service: ENROL_SERVICE, class: 'control' });
      return this.#forwarder.open(request, signal);
    });
  }

  listen(service: string, onStream: (stream: MeshStream) => void): void {
    this.#host.listen(service, onStream);
  }

  listenEnrol(onStream: (stream: Duplex) => void): void {
    this.#host.listenEnrol(onStream);
  }

  links(): LinkStatus[] {
    return this.#neighbours.table.status();
  }

  onLinksChanged(callback: () => void): () => void {
    return this.#neighbours.onChange(callback);
  }

  parents(): readonly ParentStatus[] {
    return this.#neighbours.parents();
  }

  assignParents(parents: readonly ParentConfig[]): void {
    this.#neighbours.assignParents(parents);
  }

  assignDials(assignments: readonly DialAssignment[]): void {
    this.#neighbours.assignDials(assignments);
  }

  endParentLinks(error: IsthmusError): void {
    for (const session of this.#neighbours.table.parents([])) session.end(error, true);
  }

  endOtherStarts(node: string, nonce: string): void {
    this.#host.sessions.closeOtherStarts(node, nonce);
    const link = this.#neighbours.table.live(node);
    if (link === undefined || link.facts.start?.nonces[0] === nonce) return;
    link.end(new IsthmusError('SESSION_REPLACED', `another process of ${node} was admitted`), true);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const stopping = new IsthmusError('CANCELLED', 'the node is stopping');
    this.#stopping.abort(stopping);
    this.#unsubscribe();
    this.#linkCredentials.stop();
    this.#host.sessions.closeAll();
    this.#forwarder.stop();
    await this.#neighbours.stop(stopping);
    await this.#inbound.stop();
    await this.#listener?.stop();
  }

  #listen(address: string): Promise<PortListener> {
    const { log } = this.#deps;
    const enrolment = {
      ...{ node: this.#context.self.node, limiter: this.#enrolmentLimiter, openMs: this.#limits.openMs },
      ...{ log, denials: this.denials },
      forward: (request: TunnelRequest, accept: () => Duplex, signal: AbortSignal) =>
        this.#forwarder.forwardEnrol(request, accept, signal),
    };
    const handlers = {
      link: this.#inbound.link.bind(this.#inbound),
      bulk: this.#inbound.bulk.bind(this.#inbound),
      denyLink: this.#inbound.denyLink.bind(this.#inbound),
      enrol: (connection: InboundConnection) => serveEnrolment(connection, enrolment),
    };
    return startListener(address, this.#trust, this.#limits, handlers, log);
  }

  async #request(options: Omit<DialOptions, 'signal'>): Promise<TunnelRequest> {
    const { node, service, class: serviceClass, deadlineMs } = options;
    const path = options.path ?? (await this.#deps.resolvePath?.(node)) ?? [];
    const source = this.#context.self.node;
    return { source, destination: node, path, crossed: [], service, serviceClass, deadlineMs };
  }

  async #withDeadline<T>(
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

  #revocationsOffered(session: LinkSession, { statement, signature }: RevocationListMessage): void {
    const { revocations } = this.#trust;
    const list = Buffer.isBuffer(statement) && Buffer.isBuffer(signature) ? { statement, signature } : undefined;
    if (list === undefined || revocations.merge(list) === 'invalid') {
      const error = new IsthmusError('PROTOCOL', `${session.facts.peer.node} sent an invalid revocation list`);
      this.denials.record(error, session.facts.peer.node, 'link');
      session.end(error, true);
    }
  }

  /** Ends what a revocation forbids, and passes the list on to every neighbour. */
  #revocationsChanged(): void {
    const { revocations } = this.#trust;
    for (const session of [...this.#neighbours.table.sessions()]) {
      const { peer } = session.facts;
      if (revocations.isRevoked(peer)) {
        session.end(new IsthmusError('PEER_CERTIFICATE_REVOKED', `the certificate of ${peer.node} is revoked`));
      } else {
        const list = revocations.encode();
        if (list !== undefined) session.send({ revocations: list });
      }
    }
    this.#host.sessions.closeRevoked();
    this.#forwarder.closeRevoked();
  }

  #linkContext(): LinkContext {
    const { identity, revocations, log, softwareVersion = 'unknown' } = this.#deps;
    const { node, role } = identity.current();
    const parentNames = () => this.#neighbours.parentNames;
    return {
      ...{ trust: this.#trust, limits: this.#limits, windows: this.#deps.windows ?? new KeptWindows() },
      ...{ softwareVersion, log, windowBytes: CONTROL_WINDOW_BYTES },
      self: {
        node,
        role,
        get parents() {
          return parentNames();
        },
      },
      hooks: {
        incoming: (session, tunnel) => this.#forwarder.incoming(session, tunnel),
        revocations: (session, list) => this.#revocationsOffered(session, list),
        credential: (session, credential) => this.#linkCredentials.received(session, credential),
        fastHeartbeatChanged: (session) => this.#neighbours.fastHeartbeatChanged(session),
        ended: (session, error) => this.#neighbours.ended(session, error),
      },
      admitStart: (told) =>
        admitChildStart(
          {
            trust: this.#trust,
            answerMs: this.#limits.fastLinkTimeoutMs,
            live: (name) => this.#neighbours.table.live(name),
          },
          told,
        ),
      helloFacts: (peer) => ({
        revocationsVersion: revocations.version,
        softwareVersion,
        start: identity.startFor(peer),
      }),
    };
  }

  #startsFor(policy: StartPolicy | undefined): Pick<Trust, 'starts'> {
    if (policy === undefined) return {};
    const sessions = { ended: (node: string, nonce: string) => this.#startEnded(node, nonce) };
    return {
      starts: { admit: (told) => policy.admit(told, sessions), isCurrent: policy.isCurrent.bind(policy) },
    };
  }

  /** As `StartSessions.ended`. */
  async #startEnded(node: string, nonce: string): Promise<boolean> {
    const isLive = () =>
      this.#host.sessions.hasStart(node, nonce) || this.#neighbours.table.live(node)?.facts.start?.nonces[0] === nonce;
    const subscribe = (wake: () => void) => {
      const look = () => {
        if (!isLive()) wake();
      };
      const stops = [this.#host.sessions.onClosed(look), this.#neighbours.onChange(look)];
      look();
      return () => {
        for (const stop of stops) stop();
      };
    };
    // One heartbeat more than the time in which a dead link ends.
    const { linkTimeoutMs, heartbeatIntervalMs } = this.#limits;
    await pauseUntil(subscribe, { ms: linkTimeoutMs + heartbeatIntervalMs, signals: [this.#stopping.signal] });
    return !isLive();
  }

  /** The parents whose links are up, in order of preference; those that fell silent last. */
  #liveParents(): LinkSession[] {
    const parents = this.#neighbours.table.parents(this.#context.self.parents);
    const isSilent = ({ facts: { peer } }: LinkSession): boolean => this.#silentParents.has(peer.node);
    return [...parents.filter((each) => !isSilent(each)), ...parents.filter(isSilent)];
  }

  #routing(services: ServiceTable): RoutingNode {
    const { table } = this.#neighbours;
    const { node, role } = this.#context.self;
    const neighbourOf = ({ facts: { peer, relation } }: LinkSession): Neighbour => ({ ...peer, relation });
    return {
      ...{ node, role, services, relaying: this.#deps.relaying },
      // A server has none; every other node has some.
      hasParents: this.#config.parents.length > 0,
      neighbour: (name) => {
        const session = table.live(name);
        return session && neighbourOf(session);
      },
      parents: () => this.#liveParents().map(neighbourOf),
      canDialUnenrolled: (name) => this.#neighbours.dialAddress(name) !== undefined,
    };
  }
}
