// What happens to a tunnel at this node: it ends here, or goes on to a neighbour, or is refused. The rules are in
// routing.ts; here are the streams.
import { duplexPair, type Duplex } from 'node:stream';
import { withDeadline } from '../lib/async/deadline.ts';
import { IsthmusError, type ErrorCode } from '../lib/errors.ts';
import type { Logger } from '../lib/log.ts';
import type { EnrolGate } from './enrol/gate.ts';
import { openEnrol } from './enrol/peer.ts';
import type { IncomingTunnel, LinkSession } from './link/session.ts';
import { routeIncoming, routeOwn, type Decision, type RoutingNode } from './routing.ts';
import { OpenEnds } from './tunnel/ends.ts';
import { answerInner, type InnerTrust } from './tunnel/inner.ts';
import type { TunnelRequest } from './tunnel/request.ts';
import { splice } from './tunnel/splice.ts';
import type { MeshStream, ServicePolicy } from './types.ts';

/** Each hop gives the next a little less time, so that the farthest one that waits says where it got stuck. */
const deadlineShare = 0.9;

/** What a neighbour answers, or its link ends with, when there may be a way past it. Nothing was sent yet. */
const deadEnds: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNREACHABLE',
  'LINK_SILENT',
  'NO_ROUTE',
  'SESSION_REPLACED',
]);

interface Service {
  readonly policy: ServicePolicy;
  readonly onStream: (stream: MeshStream) => void;
}

/** A tunnel that crosses this node. */
interface Carried {
  readonly source: string;
  readonly destination: string;
  readonly streams: readonly [Duplex, Duplex];
}

export interface SwitchDeps {
  readonly routing: RoutingNode;
  readonly trust: InnerTrust;
  readonly gate: EnrolGate;
  readonly openMs: number;
  readonly log: Logger;
  session(node: string): LinkSession | undefined;
  dialAddress(node: string): string | undefined;
}

export class Switch {
  readonly ends: OpenEnds;
  readonly #deps: SwitchDeps;
  readonly #services = new Map<string, Service>();
  readonly #carried = new Set<Carried>();
  #knownRevoked = new Map<string, number>();
  #onEnrol: ((stream: Duplex) => void) | undefined;

  constructor(deps: SwitchDeps) {
    this.#deps = deps;
    this.ends = new OpenEnds(deps.trust);
    this.#newlyRevoked();
  }

  listen(name: string, policy: ServicePolicy, onStream: (stream: MeshStream) => void): void {
    if (policy.roles.length === 0) throw new IsthmusError('POLICY_MISSING', `the service ${name} lets nobody in`);
    if (this.#services.has(name)) throw new IsthmusError('INTERNAL', `the service ${name} has a handler already`);
    this.#services.set(name, { policy, onStream });
  }

  listenEnrol(onStream: (stream: Duplex) => void): void {
    this.#onEnrol = onStream;
  }

  /** Opens this node's own tunnel as far as its other end; what runs inside is the caller's. */
  async open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const decision = routeOwn(this.#deps.routing, request);
    if (decision.go !== 'here') return this.#onward(decision, request, signal);
    const [near, far] = duplexPair();
    this.#end(request, this.#deps.routing.node, () => Promise.resolve(far)).catch(() => far.destroy());
    return near;
  }

  /** Serves a neighbour's request. */
  incoming(session: LinkSession, tunnel: IncomingTunnel): void {
    this.#serve(session, tunnel).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown, 'INTERNAL', { hop: this.#deps.routing.node });
      const { source, destination, service } = tunnel.request;
      // What a node farther on refused has its name as hop, and that node's own note.
      if (error.hop === undefined) this.#deps.trust.refusals.note(error, session.facts.peer.node, service);
      this.#deps.log.info(
        { source, destination, service, from: session.facts.peer.node, code: error.code, err: error.message },
        'tunnel refused',
      );
      tunnel.refuse(error);
    });
  }

  /** Serves a peer without a certificate, in this node's name. */
  async carryEnrol(request: TunnelRequest, accept: () => Duplex, signal: AbortSignal): Promise<void> {
    const { node, relaying, role } = this.#deps.routing;
    if (role !== 'server' && !relaying) throw new IsthmusError('NOT_A_RELAY', `${node} lets nobody enrol`);
    const outbound =
      role === 'server' ? undefined : await this.#within(request, signal, (limit) => this.open(request, limit));
    if (outbound === undefined) this.#enrolHere(accept());
    else this.#join(request, accept(), outbound);
  }

  /** Closes what carries or ends at a node whose certificate was revoked since. */
  closeRevoked(): void {
    this.ends.closeRevoked();
    const fresh = this.#newlyRevoked();
    for (const { source, destination, streams } of this.#carried) {
      if (fresh.has(source) || fresh.has(destination)) for (const stream of streams) stream.destroy();
    }
  }

  stop(): void {
    this.ends.closeAll();
    for (const { streams } of this.#carried) for (const stream of streams) stream.destroy();
  }

  get carriedCount(): number {
    return this.#carried.size;
  }

  async #serve(session: LinkSession, tunnel: IncomingTunnel): Promise<void> {
    const { peer, relation } = session.facts;
    const decision = routeIncoming(this.#deps.routing, { ...peer, relation }, tunnel.request);
    if (decision.go === 'here') {
      await this.#end(tunnel.request, peer.node, () => tunnel.accept());
      return;
    }
    const { request, signal } = tunnel;
    const onward = {
      ...request,
      crossed: [...request.crossed, this.#deps.routing.node],
      deadlineMs: request.deadlineMs * deadlineShare,
    };
    const outbound = await this.#within(onward, signal, (limit) => this.#onward(decision, onward, limit));
    try {
      this.#join(request, await tunnel.accept(), outbound);
    } catch (thrown) {
      outbound.destroy();
      throw thrown;
    }
  }

  async #onward(
    decision: Exclude<Decision, { go: 'here' }>,
    request: TunnelRequest,
    signal: AbortSignal,
  ): Promise<Duplex> {
    if (decision.go === 'unenrolled') return this.#dialUnenrolled(request, signal);
    const { node, others, path } = decision;
    let last: unknown;
    for (const next of [node, ...others]) {
      try {
        return await this.#through(next, { ...request, path }, signal);
      } catch (thrown) {
        last ??= thrown;
        if (signal.aborted || !(thrown instanceof IsthmusError) || !deadEnds.has(thrown.code)) throw thrown;
      }
    }
    throw last;
  }

  async #through(node: string, request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const session = this.#deps.session(node);
    if (session === undefined) {
      const hop = this.#deps.routing.node;
      throw new IsthmusError('UNREACHABLE', `${hop} has no live link to ${node}`, { hop });
    }
    try {
      return await session.open(request, signal);
    } catch (thrown) {
      throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: node });
    }
  }

  async #dialUnenrolled(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const { routing, gate } = this.#deps;
    const address = this.#deps.dialAddress(request.destination);
    if (address === undefined) {
      throw new IsthmusError('UNREACHABLE', `${routing.node} does not dial ${request.destination}`, {
        hop: routing.node,
      });
    }
    const { deadlineMs, destination } = request;
    const route = { source: routing.node, destination, deadlineMs, signal };
    const connection = await openEnrol(address, route);
    return gate.bound(connection.tls);
  }

  async #end(request: TunnelRequest, by: string, accept: () => Promise<Duplex>): Promise<void> {
    if (request.service === 'enrol' && this.#onEnrol !== undefined) {
      this.#enrolHere(await accept());
      return;
    }
    const service = this.#services.get(request.service);
    if (service === undefined) {
      throw new IsthmusError('SERVICE_UNKNOWN', `${this.#deps.routing.node} does not serve ${request.service}`);
    }
    const carrier = await accept();
    const timer = setTimeout(() => carrier.destroy(), request.deadlineMs);
    try {
      const stream = await answerInner(carrier, this.#deps.trust, {
        name: request.service,
        roles: service.policy.roles,
        by,
      });
      this.ends.add(stream, 'there');
      if (!stream.destroyed) service.onStream(stream);
    } catch (thrown) {
      // The tunnel itself was accepted: the refusal has gone to its other end inside it.
      const error = IsthmusError.from(thrown);
      const { source, service: name } = request;
      this.#deps.log.warn({ source, service: name, code: error.code, err: error.message }, 'inner session refused');
    } finally {
      clearTimeout(timer);
    }
  }

  #enrolHere(stream: Duplex): void {
    if (this.#onEnrol === undefined) {
      stream.destroy();
      return;
    }
    stream.on('error', () => undefined);
    this.#onEnrol(stream);
  }

  #join(request: TunnelRequest, inbound: Duplex, outbound: Duplex): void {
    const { source, destination } = request;
    const carried: Carried = { source, destination, streams: [inbound, outbound] };
    this.#carried.add(carried);
    splice(inbound, outbound, () => this.#carried.delete(carried));
  }

  /** Runs with the request's deadline beside the signal; which of the two it was is in the error. */
  #within<T>(
    { deadlineMs: ms }: Pick<TunnelRequest, 'deadlineMs'>,
    signal: AbortSignal,
    run: (limit: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { node } = this.#deps.routing;
    const late = () => new IsthmusError('DEADLINE_EXCEEDED', `${node} waited ${ms} ms for the next hop`, { hop: node });
    return withDeadline({ ms, late, signals: [signal] }, run);
  }

  /** A relay knows the ends of a tunnel by name only: it closes those of nodes that the list did not have so before. */
  #newlyRevoked(): Set<string> {
    const entries = new Map(this.#deps.trust.revocations.entries().map((entry) => [entry.node, entry.revokedAtMs]));
    const fresh = [...entries].filter(([node, atMs]) => this.#knownRevoked.get(node) !== atMs);
    this.#knownRevoked = entries;
    return new Set(fresh.map(([node]) => node));
  }
}
