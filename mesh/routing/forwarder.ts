// What happens to a tunnel at this node: it ends here, is forwarded to a neighbour, or is denied. rules.ts decides;
// this file connects the streams.
import { duplexPair, type Duplex } from 'node:stream';
import { withDeadline } from '../../lib/async/deadline.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { ServiceHost } from '../e2e/service-host.ts';
import { openEnrol } from '../enrolment/outbound.ts';
import type { EnrolmentLimiter } from '../enrolment/rate-limiter.ts';
import type { IncomingTunnel, LinkSession } from '../link/session.ts';
import type { Trust } from '../trust.ts';
import type { TunnelRequest } from '../tunnel/request.ts';
import { splice } from '../tunnel/splice.ts';
import { routeIncoming, routeOwn, type Decision, type RoutingNode } from './rules.ts';

/** Each hop gives the next a little less time, so that the farthest hop that waits reports where the tunnel hangs. */
const DEADLINE_SHARE = 0.9;

/** The errors of a next hop after which another one may work. Nothing was sent yet. */
const FAILOVER_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNREACHABLE',
  'LINK_TIMEOUT',
  'NO_ROUTE',
  'SESSION_REPLACED',
]);

/** A tunnel that crosses this node. */
interface ForwardedTunnel {
  readonly source: string;
  readonly destination: string;
  readonly streams: readonly [Duplex, Duplex];
}

export interface ForwarderDeps {
  readonly routing: RoutingNode;
  readonly trust: Trust;
  readonly host: ServiceHost;
  readonly enrolmentLimiter: EnrolmentLimiter;
  readonly log: Logger;
  session(node: string): LinkSession | undefined;
  dialAddress(node: string): string | undefined;
}

export class Forwarder {
  readonly #deps: ForwarderDeps;
  readonly #forwarded = new Set<ForwardedTunnel>();
  #knownRevoked = new Map<string, number>();

  constructor(deps: ForwarderDeps) {
    this.#deps = deps;
    this.#newlyRevoked();
  }

  /** Opens this node's own tunnel up to its other endpoint, without a session inside. */
  async open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const { routing, host } = this.#deps;
    const decision = routeOwn(routing, request);
    if (decision.go !== 'here') return this.#openNext(decision, request, signal);
    const [near, far] = duplexPair();
    host.accept(request, routing.node, () => Promise.resolve(far)).catch(() => far.destroy());
    return near;
  }

  /** Serves a neighbour's request. */
  incoming(session: LinkSession, tunnel: IncomingTunnel): void {
    this.#serve(session, tunnel).catch((thrown: unknown) => {
      const { routing, trust, log } = this.#deps;
      const error = IsthmusError.from(thrown, 'INTERNAL', { hop: routing.node });
      const { source, destination, service } = tunnel.request;
      const from = session.facts.peer.node;
      // A denial of a farther node names that node as hop, and that node has recorded it.
      if (error.hop === undefined) trust.denials.record(error, from, service);
      log.info({ source, destination, service, from, code: error.code, err: error.message }, 'tunnel denied');
      tunnel.deny(error);
    });
  }

  /** Serves a peer without a certificate: its tunnel to the server is this node's. */
  async forwardEnrol(request: TunnelRequest, accept: () => Duplex, signal: AbortSignal): Promise<void> {
    const { routing, host } = this.#deps;
    if (routing.role === 'server') {
      host.acceptEnrol(accept());
      return;
    }
    if (!routing.relaying) throw new IsthmusError('NOT_A_RELAY', `${routing.node} accepts no enrolments`);
    const outbound = await this.#within(request.deadlineMs, signal, (limit) => this.open(request, limit));
    this.#join(request, accept(), outbound);
  }

  /** Closes the tunnels whose source or destination was revoked since the last call. */
  closeRevoked(): void {
    const revoked = this.#newlyRevoked();
    for (const { source, destination, streams } of this.#forwarded) {
      if (revoked.has(source) || revoked.has(destination)) for (const stream of streams) stream.destroy();
    }
  }

  stop(): void {
    for (const { streams } of this.#forwarded) for (const stream of streams) stream.destroy();
  }

  async #serve(session: LinkSession, tunnel: IncomingTunnel): Promise<void> {
    const { routing, host } = this.#deps;
    const { peer, relation } = session.facts;
    const { signal } = tunnel;
    const sourceAddress = tunnel.request.source === peer.node ? session.address : tunnel.request.sourceAddress;
    const request = { ...tunnel.request, sourceAddress };
    const decision = routeIncoming(routing, { ...peer, relation }, request);
    if (decision.go === 'here') {
      await host.accept(request, peer.node, () => tunnel.accept());
      return;
    }
    const next = {
      ...request,
      crossed: [...request.crossed, routing.node],
      deadlineMs: request.deadlineMs * DEADLINE_SHARE,
    };
    const outbound = await this.#within(next.deadlineMs, signal, (limit) => this.#openNext(decision, next, limit));
    try {
      this.#join(request, await tunnel.accept(), outbound);
    } catch (thrown) {
      outbound.destroy();
      throw thrown;
    }
  }

  async #openNext(
    decision: Exclude<Decision, { go: 'here' }>,
    request: TunnelRequest,
    signal: AbortSignal,
  ): Promise<Duplex> {
    if (decision.go === 'unenrolled') return this.#dialUnenrolled(request, signal);
    const { node, others, path } = decision;
    let first: unknown;
    for (const next of [node, ...others]) {
      try {
        return await this.#openThrough(next, { ...request, path }, signal);
      } catch (thrown) {
        first ??= thrown;
        if (signal.aborted || !(thrown instanceof IsthmusError) || !FAILOVER_CODES.has(thrown.code)) throw thrown;
      }
    }
    throw first;
  }

  async #openThrough(node: string, request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
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
    const { routing, enrolmentLimiter } = this.#deps;
    const { deadlineMs, destination } = request;
    const address = this.#deps.dialAddress(destination);
    if (address === undefined) {
      throw new IsthmusError('UNREACHABLE', `${routing.node} does not dial ${destination}`, { hop: routing.node });
    }
    const connection = await openEnrol(address, { source: routing.node, destination, deadlineMs, signal });
    return enrolmentLimiter.bound(connection.tls);
  }

  #join(request: TunnelRequest, inbound: Duplex, outbound: Duplex): void {
    const { source, destination } = request;
    const forwarded: ForwardedTunnel = { source, destination, streams: [inbound, outbound] };
    this.#forwarded.add(forwarded);
    splice(inbound, outbound, () => this.#forwarded.delete(forwarded));
  }

  /** Runs with a deadline beside the signal; the error says which of the two it was. */
  #within<T>(ms: number, signal: AbortSignal, run: (limit: AbortSignal) => Promise<T>): Promise<T> {
    const { node } = this.#deps.routing;
    const late = () => new IsthmusError('DEADLINE_EXCEEDED', `${node} waited ${ms} ms for the next hop`, { hop: node });
    return withDeadline({ ms, late, signals: [signal] }, run);
  }

  /** The nodes that were revoked since the last call: a relay knows the endpoints of a tunnel only by name. */
  #newlyRevoked(): Set<string> {
    const entries = new Map(this.#deps.trust.revocations.entries().map((entry) => [entry.node, entry.revokedAtMs]));
    const fresh = [...entries].filter(([node, atMs]) => this.#knownRevoked.get(node) !== atMs);
    this.#knownRevoked = entries;
    return new Set(fresh.map(([node]) => node));
  }
}
