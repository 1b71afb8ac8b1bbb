// The accepting side of links: serves Attach and Tunnel to connectors, and takes their bulk connections. Towards a
// connector it opens a tunnel by asking on Attach; the connector answers with a call, or a connection, that names the
// tunnel.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import type { PeerIdentity } from '../../certs/peer.ts';
import { IsthmusError, type ErrorCode } from '../../lib/errors.ts';
import { toServiceError } from '../../lib/grpc/errors.ts';
import { GrpcHost } from '../../lib/grpc/server.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { LinkHandlers } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import {
  decodeDenial,
  decodeRequest,
  encodeDenial,
  encodeRequest,
  newTunnelId,
  type TunnelRequest,
} from '../tunnel/request.ts';
import type { ServiceClass } from '../types.ts';
import { bulkPrefaceCodec, linkService, tunnelOpenedCodec } from '../wire.ts';
import type { InboundConnection } from './listener.ts';
import { tunnelRateLimited } from './tunnel-quota.ts';
import { exchangeRevocations, type LinkContext } from './context.ts';
import { checkRelation, decodeHello, encodeHello, type HelloFacts } from './hello.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import { LinkSession, type Transport } from './session.ts';
import type { ByteCounter } from './connection.ts';

type AttachCall = ServerDuplexStream<AttachFrame__Output, AttachFrame>;
type TunnelServerCall = ServerDuplexStream<TunnelFrame__Output, TunnelFrame>;

/** Where sessions are kept; `check` throws STALE_SESSION, `admit` replaces what was there. */
export interface SessionRegister {
  check(peer: PeerIdentity, hello: HelloFacts): void;
  counter(peer: PeerIdentity, hello: HelloFacts): ByteCounter;
  isFast(peer: PeerIdentity, hello: HelloFacts): boolean;
  admit(session: LinkSession): void;
}

interface AcceptedLink {
  readonly connection: InboundConnection;
  readonly peer: PeerIdentity;
  session: LinkSession | undefined;
}

/** An honest peer makes one. */
const mostCallsWithoutSession = 16;

export class InboundLinks {
  readonly #context: LinkContext;
  readonly #register: SessionRegister;
  readonly #host: GrpcHost<PeerIdentity>;
  /** By the stream that carries the connection's calls. */
  readonly #links = new WeakMap<Duplex, AcceptedLink>();
  readonly #refused = new WeakMap<Duplex, IsthmusError>();
  readonly #callsWithoutSession = new WeakMap<Duplex, number>();
  /** By the connector's session id, which bulk connections name. */
  readonly #transports = new Map<string, InboundTransport>();

  constructor(context: LinkContext, register: SessionRegister) {
    this.#context = context;
    this.#register = register;
    this.#host = new GrpcHost<PeerIdentity>({
      log: context.log,
      windowBytes: context.windowBytes,
      maxConcurrentCalls: context.limits.tunnelsPerLink + 16,
      forbids: (stream) => this.#forbids(stream),
      // A certificate that is not accepted has been noted at the port.
      onError: (error, peer) => {
        if (peer !== undefined) context.trust.denials.note(error, peer.node, 'link');
      },
    });
    this.#host.add<LinkHandlers>(
      linkService,
      {
        Attach: (call, caller) => this.#attach(call, this.#linkOf(caller.stream)),
        Tunnel: (call, caller) => this.#tunnel(call, this.#linkOf(caller.stream)),
      },
      // Who may call is in #linkOf: a peer whose certificate was not accepted must hear why.
      { Attach: { anyone: true }, Tunnel: { anyone: true } },
    );
  }

  /** Serves a link's connection. */
  link(connection: InboundConnection, peer: PeerIdentity): void {
    const stream = Object.assign(connection.tls, { peer });
    this.#links.set(stream, { connection, peer, session: undefined });
    this.#host.accept(stream);
  }

  /** Answers a link's first call with the reason why its certificate is not accepted. */
  refuseLink(connection: InboundConnection, error: IsthmusError): void {
    this.#refused.set(connection.tls, error);
    this.#host.accept(connection.tls);
  }

  /** Takes a bulk connection to the session that it names. */
  bulk(connection: InboundConnection, peer: PeerIdentity): void {
    this.#takeBulk(connection, peer).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown);
      this.#context.trust.denials.note(error, peer.node, 'link');
      this.#context.log.debug({ peer: peer.node, code: error.code, err: error.message }, 'bulk connection refused');
      const denial = { error: encodeDenial(error, this.#context.self.node) };
      connection.tls.end(framed(tunnelOpenedCodec.encode(denial)), () => connection.tls.destroy());
      connection.tls.resume();
    });
  }

  stop(): Promise<void> {
    return this.#host.stop();
  }

  async #attach(call: AttachCall, link: AcceptedLink): Promise<void> {
    if (link.session) throw new IsthmusError('PROTOCOL', 'the connection carries a session already');
    const { peer, connection } = link;
    const given = new AbortController();
    const signal = given.signal;
    const lost = () => given.abort(new IsthmusError('UNREACHABLE', `the connection to ${peer.node} was lost`));
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
    call.write({ hello: encodeHello({ ...this.#context.helloFacts(), ...own }) });
    await exchangeRevocations(this.#context, call, peer, facts, signal);
    this.#register.check(peer, facts);
    const session = new LinkSession(
      {
        peer,
        role: this.#context.self.role,
        wireVersion: facts.wireVersion,
        relation: facts.relation,
        epoch: facts.epoch,
        id: facts.sessionId,
        fast: this.#register.isFast(peer, facts),
      },
      call,
      this.#context.limits,
      counter,
      this.#context.hooks,
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

  async #tunnel(call: TunnelServerCall, link: AcceptedLink): Promise<void> {
    const { session, peer } = link;
    if (!session) throw new IsthmusError('PROTOCOL', 'a tunnel before the hello');
    const transport = this.#transports.get(session.facts.id.toString('hex'));
    if (!transport) throw new IsthmusError('SESSION_UNKNOWN', 'the session has ended');
    const soon = AbortSignal.any([session.signal, AbortSignal.timeout(this.#context.limits.openMs)]);
    const frame = await nextFrame<TunnelFrame__Output>(call, soon, peer.node);
    if (frame.answerTunnelId) await transport.answered(frame.answerTunnelId, call);
    else if (frame.open)
      this.#asked(session, frame.open.tunnelId, decodeRequest(frame.open, this.#context.limits.openMs), call);
    else throw new IsthmusError('PROTOCOL', `${peer.node} opened a tunnel with the wrong message`);
  }

  #asked(session: LinkSession, tunnelId: Buffer, request: TunnelRequest, call: TunnelServerCall): void {
    const given = new AbortController();
    const abort = () => given.abort(new IsthmusError('CANCELLED', 'the asker gave up'));
    call.once('cancelled', abort);
    session.incoming({
      request,
      signal: AbortSignal.any([given.signal, session.signal]),
      accept: () => {
        if (call.cancelled) return Promise.reject(new IsthmusError('CANCELLED', 'the asker gave up'));
        call.write({ opened: {} });
        return Promise.resolve(session.controlStream(tunnelId, { side: 'server', stream: call }));
      },
      refuse: (error) => {
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
    const release = session.peerBulkSlot();
    connection.raw.once('close', release);
    const given = new AbortController();
    connection.raw.once('close', () => given.abort(new IsthmusError('CANCELLED', 'the asker gave up')));
    session.incoming({
      request,
      signal: AbortSignal.any([given.signal, session.signal]),
      accept: () => {
        connection.tls.write(framed(tunnelOpenedCodec.encode({})));
        return Promise.resolve(session.bulkStream(tunnelId, connection, release));
      },
      refuse: (error) => {
        const denial = { error: encodeDenial(error, this.#context.self.node) };
        connection.tls.end(framed(tunnelOpenedCodec.encode(denial)));
        connection.tls.resume();
      },
    });
  }

  /** Every call counts as a tunnel that is asked for, or, while there is no session, as one of few. */
  #forbids(stream: Duplex): IsthmusError | undefined {
    const link = this.#links.get(stream);
    if (link?.session !== undefined) return link.session.tryAcquire() ? undefined : tunnelRateLimited(link.peer.node);
    const made = (this.#callsWithoutSession.get(stream) ?? 0) + 1;
    this.#callsWithoutSession.set(stream, made);
    if (made <= mostCallsWithoutSession) return undefined;
    return new IsthmusError('RATE_LIMITED', `the peer made ${made} calls and has no session`);
  }

  #linkOf(stream: Duplex): AcceptedLink {
    const refused = this.#refused.get(stream);
    if (refused) throw refused;
    const link = this.#links.get(stream);
    if (!link) throw new IsthmusError('PROTOCOL', 'the call came in on no link');
    return link;
  }
}

interface Waiting {
  readonly serviceClass: ServiceClass;
  /** Gives the place in the pool back, for bulk. */
  readonly release: () => void;
  resolve(stream: Duplex): void;
  reject(error: IsthmusError): void;
}

class InboundTransport implements Transport {
  readonly session: LinkSession;
  readonly #call: AttachCall;
  readonly connection: InboundConnection;
  readonly side = 'server';
  readonly #onClosed: () => void;
  readonly #waiting = new Map<string, Waiting>();

  constructor(session: LinkSession, call: AttachCall, connection: InboundConnection, onClosed: () => void) {
    this.session = session;
    this.#call = call;
    this.connection = connection;
    this.#onClosed = onClosed;
  }

  async open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const tunnelId = newTunnelId();
    const key = tunnelId.toString('hex');
    const { serviceClass } = request;
    const release = serviceClass === 'bulk' ? await this.session.bulkSlot(signal) : () => undefined;
    // A bulk answer is a connection, which counts by its place.
    const answerOver = serviceClass === 'control' ? this.session.expectAnswer() : () => undefined;
    const { promise, resolve: found, reject } = Promise.withResolvers<Duplex>();
    const resolve = (stream: Duplex) => {
      // Too late: nobody takes it any more.
      if (signal.aborted) stream.destroy();
      found(stream);
    };
    const abort = () => {
      reject(IsthmusError.from(signal.reason, 'CANCELLED'));
      this.session.send({ close: { tunnelId } });
    };
    try {
      signal.throwIfAborted();
      signal.addEventListener('abort', abort, { once: true });
      this.#waiting.set(key, { serviceClass, release, resolve, reject });
      this.session.send({ open: encodeRequest(tunnelId, request) });
      return await promise;
    } catch (thrown) {
      release();
      throw IsthmusError.from(thrown, 'UNREACHABLE');
    } finally {
      signal.removeEventListener('abort', abort);
      this.#waiting.delete(key);
      answerOver();
    }
  }

  receive(): void {
    // Everything else the connector says is for both sides, or comes as a call.
  }

  close(code: ErrorCode, detail: string): void {
    this.#onClosed();
    if (!this.#call.cancelled && !this.#call.destroyed) {
      this.#call.emit('error', toServiceError(new IsthmusError(code, detail)));
    }
    // A moment for the goodbye to leave; a dead connection has nothing to lose by it.
    setImmediate(() => this.connection.tls.destroy());
  }

  /** The connector answers with a call: the tunnel, or why not. */
  async answered(tunnelId: Buffer, stream: TunnelServerCall): Promise<void> {
    const waiting = this.#take(tunnelId);
    const peer = this.session.facts.peer.node;
    const { opened } = await nextFrame<TunnelFrame__Output>(stream, this.session.signal, peer).catch(
      (thrown: unknown) => {
        const error = IsthmusError.from(thrown, 'UNREACHABLE');
        waiting.reject(error);
        throw error;
      },
    );
    if (opened && !opened.error && waiting.serviceClass === 'control') {
      waiting.resolve(this.session.controlStream(tunnelId, { side: 'server', stream }));
      return;
    }
    const error = opened?.error
      ? decodeDenial(opened.error, peer)
      : new IsthmusError('PROTOCOL', `${peer} answered a request for a tunnel with the wrong message`);
    waiting.reject(error);
    stream.end();
    stream.resume();
  }

  /** The connector answers with a bulk connection. */
  async connected(tunnelId: Buffer, connection: InboundConnection): Promise<void> {
    const waiting = this.#take(tunnelId);
    try {
      if (waiting.serviceClass !== 'bulk') throw new IsthmusError('PROTOCOL', 'a bulk answer to a control tunnel');
      const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
      if (opened.error) throw decodeDenial(opened.error, this.session.facts.peer.node);
      waiting.resolve(this.session.bulkStream(tunnelId, connection, waiting.release));
    } catch (thrown) {
      connection.tls.destroy();
      waiting.reject(IsthmusError.from(thrown, 'UNREACHABLE'));
    }
  }

  /** An answer counts once. */
  #take(tunnelId: Buffer): Waiting {
    const key = tunnelId.toString('hex');
    const waiting = this.#waiting.get(key);
    if (!waiting) throw new IsthmusError('CANCELLED', 'nobody waits for this tunnel');
    this.#waiting.delete(key);
    return waiting;
  }
}
