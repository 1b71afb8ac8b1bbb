// Inbound links, which peers dial: serves Attach and Tunnel to connectors, and their bulk connections.
import type { Duplex } from 'node:stream';
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { unlessAborted } from '../../lib/async/waiting.ts';
import { GrpcHost } from '../../lib/grpc/server.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { LinkHandlers } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import type { TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import { decodeRequest, encodeDenial, type TunnelRequest } from '../tunnel/request.ts';
import { bulkPrefaceCodec, linkService, tunnelOpenedCodec } from '../wire.ts';
import type { ByteCounter } from './connection.ts';
import { exchangeRevocations, type LinkContext } from './context.ts';
import { checkRelation, decodeHello, encodeHello, type HelloFacts } from './hello.ts';
import { InboundTransport, type AttachCall, type TunnelServerCall } from './inbound-transport.ts';
import type { InboundConnection } from './listener.ts';
import { LinkSession } from './session.ts';
import { tunnelRateLimited } from './tunnel-quota.ts';

/** Where sessions are kept: `check` throws STALE_SESSION, `admit` replaces the session before. */
export interface SessionRegister {
  check(peer: PeerIdentity, hello: HelloFacts): void;
  counter(peer: PeerIdentity, hello: HelloFacts): ByteCounter;
  wantsFastHeartbeat(hello: HelloFacts): boolean;
  admit(session: LinkSession): void;
}

interface InboundLink {
  readonly connection: InboundConnection;
  readonly peer: PeerIdentity;
  session: LinkSession | undefined;
}

/** Calls before there is a session. An honest peer makes one. */
const MAX_EARLY_CALLS = 16;

export class InboundLinks {
  readonly #context: LinkContext;
  readonly #register: SessionRegister;
  readonly #host: GrpcHost<PeerIdentity>;
  /** By the stream that carries the connection's calls. */
  readonly #links = new WeakMap<Duplex, InboundLink>();
  readonly #denied = new WeakMap<Duplex, IsthmusError>();
  readonly #earlyCalls = new WeakMap<Duplex, number>();
  /** By the connector's session id, which bulk connections name. */
  readonly #transports = new Map<string, InboundTransport>();

  constructor(context: LinkContext, register: SessionRegister) {
    this.#context = context;
    this.#register = register;
    this.#host = new GrpcHost<PeerIdentity>({
      log: context.log,
      windowBytes: context.windowBytes,
      // A link has its own heartbeat.
      expectsLife: false,
      maxConcurrentCalls: context.limits.tunnelsPerLink + 16,
      forbids: (stream) => this.#forbids(stream),
      // The listener has recorded an invalid certificate.
      onError: (error, peer) => {
        if (peer !== undefined) context.trust.denials.record(error, peer.node, 'link');
      },
    });
    this.#host.add<LinkHandlers>(
      linkService,
      {
        Attach: (call, caller) => this.#attach(call, this.#linkOf(caller.stream)),
        Tunnel: (call, caller) => this.#tunnel(call, this.#linkOf(caller.stream)),
      },
      // #linkOf decides: a peer with an invalid certificate must be told why.
      { Attach: { anyone: true }, Tunnel: { anyone: true } },
    );
  }

  /** Serves a link's connection. */
  link(connection: InboundConnection, peer: PeerIdentity): void {
    const stream = Object.assign(connection.tls, { peer });
    this.#links.set(stream, { connection, peer, session: undefined });
    this.#host.accept(stream);
  }

  /** Answers the first call of a link with the reason why its certificate is invalid. */
  denyLink(connection: InboundConnection, error: IsthmusError): void {
    this.#denied.set(connection.tls, error);
    this.#host.accept(connection.tls);
  }

  /** Adds a bulk connection to the session that it names. */
  bulk(connection: InboundConnection, peer: PeerIdentity): void {
    this.#takeBulk(connection, peer).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown);
      this.#context.trust.denials.record(error, peer.node, 'link');
      this.#context.log.debug({ peer: peer.node, code: error.code, err: error.message }, 'bulk connection denied');
      const denial = { error: encodeDenial(error, this.#context.self.node) };
      connection.tls.end(framed(tunnelOpenedCodec.encode(denial)), () => connection.tls.destroy());
      connection.tls.resume();
    });
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  async #attach(call: AttachCall, link: InboundLink): Promise<void> {
    if (link.session) throw new IsthmusError('PROTOCOL', 'the connection carries a session already');
    const { peer, connection } = link;
    const cut = new AbortController();
    const { signal } = cut;
    const lost = () => cut.abort(new IsthmusError('UNREACHABLE', `the connection to ${peer.node} was lost`));
    connection.raw.once('close', lost);
    const { hello } = await nextFrame<AttachFrame__Output>(call, signal, peer.node);
    if (!hello) throw new IsthmusError('PROTOCOL', `${peer.node} did not say hello`);
    const facts = decodeHello(hello, peer.node);
    checkRelation(this.#context.self, peer, facts.relation);
    this.#register.check(peer, facts);
    const counter = this.#register.counter(peer, facts);
    counter.add(connection.raw);
    const relation = facts.relation === 'parent' ? 'child' : 'parent';
    const own = { relation, epoch: facts.epoch, sessionId: facts.sessionId } as const;
    call.write({ hello: encodeHello({ ...this.#context.helloFacts(peer), ...own }) });
    await exchangeRevocations(this.#context, call, peer, facts, signal);
    if (facts.relation === 'child') {
      const address = connection.raw.remoteAddress;
      await unlessAborted(this.#context.admitStart({ peer, start: facts.start, via: peer.node, address }), [signal]);
    }
    this.#register.check(peer, facts);
    const session = new LinkSession(
      {
        peer,
        role: this.#context.self.role,
        wireVersion: facts.wireVersion,
        relation: facts.relation,
        epoch: facts.epoch,
        start: facts.start,
        id: facts.sessionId,
        fastHeartbeat: this.#register.wantsFastHeartbeat(facts),
      },
      call,
      this.#context,
      counter,
    );
    const key = facts.sessionId.toString('hex');
    const transport = new InboundTransport(session, call, connection, () => this.#transports.delete(key));
    session.transport = transport;
    this.#transports.set(key, transport);
    link.session = session;
    const ended = () => session.end(new IsthmusError('UNREACHABLE', `${peer.node} ended the link`, { hop: peer.node }));
    call.on('end', ended);
    call.on('cancelled', ended);
    connection.raw.once('close', ended);
    if (connection.raw.destroyed) ended();
    connection.settled();
    this.#register.admit(session);
  }

  async #tunnel(call: TunnelServerCall, link: InboundLink): Promise<void> {
    const { session, peer } = link;
    if (!session) throw new IsthmusError('PROTOCOL', 'a tunnel before the hello');
    const transport = this.#transports.get(session.facts.id.toString('hex'));
    if (!transport) throw new IsthmusError('SESSION_UNKNOWN', 'the session has ended');
    const soon = AbortSignal.any([session.signal, AbortSignal.timeout(this.#context.limits.openMs)]);
    const frame = await nextFrame<TunnelFrame__Output>(call, soon, peer.node);
    if (frame.answerTunnelId) await transport.answered(frame.answerTunnelId, call);
    else if (frame.open)
      this.#requested(session, frame.open.tunnelId, decodeRequest(frame.open, this.#context.limits.openMs), call);
    else throw new IsthmusError('PROTOCOL', `${peer.node} opened a tunnel with the wrong message`);
  }

  #requested(session: LinkSession, tunnelId: Buffer, request: TunnelRequest, call: TunnelServerCall): void {
    const givenUp = new AbortController();
    const abort = () => givenUp.abort(new IsthmusError('CANCELLED', 'the requester gave up'));
    call.once('cancelled', abort);
    session.incoming({
      request,
      signal: AbortSignal.any([givenUp.signal, session.signal]),
      accept: () => {
        if (call.cancelled) return Promise.reject(new IsthmusError('CANCELLED', 'the requester gave up'));
        call.write({ opened: {} });
        return Promise.resolve(session.controlStream(tunnelId, { side: 'server', stream: call }));
      },
      deny: (error) => {
        call.write({ opened: { error: encodeDenial(error, this.#context.self.node) } });
        call.end();
        call.resume();
      },
    });
  }

  async #takeBulk(connection: InboundConnection, peer: PeerIdentity): Promise<void> {
    const preface = bulkPrefaceCodec.decode(await readFrame(connection.tls));
    connection.settled();
    const transport = this.#transports.get(preface.sessionId.toString('hex'));
    const session = transport?.session;
    if (!transport || session?.facts.peer.node !== peer.node) {
      throw new IsthmusError('SESSION_UNKNOWN', `${peer.node} has no such session here`);
    }
    session.adopt(connection);
    if (preface.answerTunnelId) {
      await transport.connected(preface.answerTunnelId, connection);
      return;
    }
    if (!preface.open) throw new IsthmusError('PROTOCOL', `${peer.node} opened a bulk tunnel with the wrong message`);
    const request = decodeRequest(preface.open, this.#context.limits.openMs);
    const { tunnelId } = preface.open;
    const freeSlot = session.peerBulkSlot();
    connection.raw.once('close', freeSlot);
    const givenUp = new AbortController();
    connection.raw.once('close', () => givenUp.abort(new IsthmusError('CANCELLED', 'the requester gave up')));
    session.incoming({
      request,
      signal: AbortSignal.any([givenUp.signal, session.signal]),
      accept: () => {
        connection.tls.write(framed(tunnelOpenedCodec.encode({})));
        return Promise.resolve(session.bulkStream(tunnelId, connection, freeSlot));
      },
      deny: (error) => {
        const denial = { error: encodeDenial(error, this.#context.self.node) };
        connection.tls.end(framed(tunnelOpenedCodec.encode(denial)));
        connection.tls.resume();
      },
    });
  }

  /** Every call counts as a tunnel request; before there is a session only a few are allowed. */
  #forbids(stream: Duplex): IsthmusError | undefined {
    const link = this.#links.get(stream);
    if (link?.session !== undefined) return link.session.tryAcquire() ? undefined : tunnelRateLimited(link.peer.node);
    const made = (this.#earlyCalls.get(stream) ?? 0) + 1;
    this.#earlyCalls.set(stream, made);
    if (made <= MAX_EARLY_CALLS) return undefined;
    return new IsthmusError('RATE_LIMITED', `the peer made ${made} calls and has no session`);
  }

  #linkOf(stream: Duplex): InboundLink {
    const denied = this.#denied.get(stream);
    if (denied) throw denied;
    const link = this.#links.get(stream);
    if (!link) throw new IsthmusError('PROTOCOL', 'the call came in on no link');
    return link;
  }
}
