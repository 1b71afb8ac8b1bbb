// The dialling side of a link: connects, attaches, opens tunnels by calling, and answers the acceptor's OpenTunnel.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import { alpn, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { fromServiceError } from '../../lib/grpc/errors.ts';
import { formatHostPort } from '../../lib/net/host-port.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { LinkClient } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import type { OpenTunnel__Output } from '../../proto/gen/isthmus/mesh/v1/OpenTunnel.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import {
  decodeRefusal,
  decodeRequest,
  encodeRefusal,
  encodeRequest,
  newTunnelId,
  type TunnelRequest,
} from '../tunnel/request.ts';
import { bulkPrefaceCodec, LinkClientConstructor, tunnelOpenedCodec } from '../wire.ts';
import { tunnelFlood } from './asked.ts';
import { exchangeRevocations, type LinkContext } from './context.ts';
import { checkKinship, decodeHello, encodeHello, nextEpoch, type Relation } from './hello.ts';
import { nextFrame } from './next-frame.ts';
import { LinkSession, type AttachStream, type Carrier } from './session.ts';
import { connectTo, type ByteCounter, type Connection } from './socket.ts';

export interface DialTarget {
  /** A node id, or 'server' for any node of that role. */
  readonly node: string;
  readonly address: string;
  /** What the peer is to this node. */
  readonly relation: Relation;
  readonly fast: boolean;
}

/** Sets up a session with a neighbour; throws why not. The signal bounds the whole handshake. */
export async function dialSession(
  context: LinkContext,
  target: DialTarget,
  counter: ByteCounter,
  signal: AbortSignal,
): Promise<LinkSession> {
  const identity = context.trust.identity.current();
  const connection = await connectTo(target.address, alpn.link, identity, signal);
  counter.add(connection.raw);
  const client = grpcClient(LinkClientConstructor, () => Promise.resolve(connection.tls), {
    hop: target.node,
    windowBytes: context.windowBytes,
  });
  try {
    const peer = verifyPeer(connection.tls, identity, context.trust.revocations, { node: target.node });
    const rpc = await client.ready();
    const attach: AttachStream = rpc.attach();
    // Some status ends every call; whoever waits on the call has its own listener.
    attach.on('error', () => undefined);
    const sessionId = newTunnelId();
    const own = { relation: target.relation === 'parent' ? ('child' as const) : ('parent' as const), sessionId };
    attach.write({ hello: encodeHello({ ...context.helloFacts(), ...own, epoch: nextEpoch() }) });
    const { hello } = await nextFrame<AttachFrame__Output>(attach, signal, peer.node);
    if (!hello) throw new IsthmusError('PROTOCOL', `${peer.node} did not say hello`);
    const facts = decodeHello(hello, peer.node);
    if (facts.relation !== target.relation) {
      throw new IsthmusError('LINK_REFUSED', `${peer.node} takes itself for this node's ${facts.relation}`);
    }
    checkKinship(context.kinship, peer, facts.relation);
    await exchangeRevocations(context, attach, peer, facts, signal);
    const session = new LinkSession(
      {
        peer,
        role: context.kinship.role,
        wireVersion: facts.wireVersion,
        relation: target.relation,
        epoch: facts.epoch,
        id: sessionId,
        fast: target.fast,
      },
      attach,
      context.limits,
      counter,
      context.hooks,
    );
    session.carrier = new DiallerCarrier(context, session, rpc, connection, () => client.close());
    const lost = (why: string) => session.end(new IsthmusError('UNREACHABLE', why, { hop: peer.node }));
    attach.on('error', (error) => session.end(fromServiceError(error, peer.node)));
    attach.on('end', () => setImmediate(() => lost(`${peer.node} ended the link`)));
    const closed = () => lost(`the connection to ${peer.node} was lost`);
    connection.raw.once('close', closed);
    // The client takes no call once this has closed; the session must not make one after it.
    connection.tls.once('close', closed);
    if (connection.raw.destroyed || connection.tls.destroyed) {
      throw new IsthmusError('UNREACHABLE', `the connection to ${peer.node} was lost`);
    }
    return session;
  } catch (thrown) {
    client.close();
    connection.tls.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: target.node });
  }
}

type TunnelStream = ClientDuplexStream<TunnelFrame, TunnelFrame__Output>;

class DiallerCarrier implements Carrier {
  readonly #context: LinkContext;
  readonly #session: LinkSession;
  readonly #rpc: LinkClient;
  readonly connection: Connection;
  readonly side = 'client';
  readonly #closeClient: () => void;
  /** The acceptor's requests that were not answered yet. */
  readonly #answering = new Map<string, AbortController>();

  constructor(
    context: LinkContext,
    session: LinkSession,
    rpc: LinkClient,
    connection: Connection,
    closeClient: () => void,
  ) {
    this.#context = context;
    this.#session = session;
    this.#rpc = rpc;
    this.connection = connection;
    this.#closeClient = closeClient;
  }

  open(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    return request.serviceClass === 'bulk' ? this.#openBulk(request, signal) : this.#openControl(request, signal);
  }

  receive(frame: AttachFrame__Output): void {
    if (frame.open) this.#answer(frame.open);
    if (frame.close) this.#answering.get(frame.close.tunnelId.toString('hex'))?.abort();
  }

  close(): void {
    this.#closeClient();
    this.connection.tls.destroy();
  }

  async #openControl(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const peer = this.#session.facts.peer.node;
    const tunnelId = newTunnelId();
    const stream = this.#call();
    try {
      stream.write({ open: encodeRequest(tunnelId, request) });
      const { opened } = await nextFrame<TunnelFrame__Output>(stream, signal, peer);
      if (!opened) throw new IsthmusError('PROTOCOL', `${peer} did not answer a request for a tunnel`);
      if (opened.error) throw decodeRefusal(opened.error, peer);
      return this.#session.controlStream(tunnelId, { side: 'client', stream });
    } catch (thrown) {
      stream.cancel();
      throw thrown;
    }
  }

  async #openBulk(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const release = await this.#session.bulkPlace(signal);
    const tunnelId = newTunnelId();
    const preface = { sessionId: this.#session.facts.id, open: encodeRequest(tunnelId, request) };
    let connection: Connection | undefined;
    const abort = () => connection?.tls.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      connection = await this.#connectBulk(signal);
      connection.tls.write(framed(bulkPrefaceCodec.encode(preface)));
      const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
      if (opened.error) throw decodeRefusal(opened.error, this.#session.facts.peer.node);
      return this.#session.bulkStream(tunnelId, connection, release);
    } catch (thrown) {
      release();
      connection?.tls.destroy();
      throw signal.aborted ? IsthmusError.from(signal.reason, 'CANCELLED') : thrown;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** To the very address that the link reached: a name may stand for several nodes. */
  async #connectBulk(signal: AbortSignal): Promise<Connection> {
    const { remoteAddress, remotePort } = this.connection.raw;
    if (remoteAddress === undefined || remotePort === undefined) {
      throw new IsthmusError('UNREACHABLE', 'the link has lost its connection');
    }
    const address = formatHostPort({ host: remoteAddress, port: remotePort });
    const identity = this.#context.trust.identity.current();
    const connection = await connectTo(address, alpn.bulk, identity, signal);
    this.#session.adopt(connection);
    const { node } = this.#session.facts.peer;
    verifyPeer(connection.tls, identity, this.#context.trust.revocations, { node });
    return connection;
  }

  #call(): TunnelStream {
    const stream = this.#rpc.tunnel();
    stream.on('error', () => undefined);
    return stream;
  }

  #answer(open: OpenTunnel__Output): void {
    if (!this.#session.mayAsk()) {
      const { node } = this.#session.facts.peer;
      const error = tunnelFlood(node);
      this.#context.trust.refusals.note(error, node, 'link');
      this.#session.end(error);
      return;
    }
    const key = open.tunnelId.toString('hex');
    let request: TunnelRequest;
    try {
      request = decodeRequest(open, this.#context.limits.openMs);
    } catch (thrown) {
      this.#session.end(IsthmusError.from(thrown), true);
      return;
    }
    const given = new AbortController();
    this.#answering.set(key, given);
    const signal = AbortSignal.any([given.signal, this.#session.signal]);
    signal.addEventListener('abort', () => this.#answering.delete(key), { once: true });
    const answer =
      request.serviceClass === 'bulk'
        ? this.#bulkAnswer(open.tunnelId, signal)
        : this.#controlAnswer(open.tunnelId, signal);
    this.#session.incoming({
      request,
      signal,
      accept: () => {
        this.#answering.delete(key);
        return answer.accept();
      },
      refuse: (error) => {
        this.#answering.delete(key);
        answer.refuse(error);
      },
    });
  }

  #controlAnswer(tunnelId: Buffer, signal: AbortSignal): Answer {
    const stream = this.#call();
    const cancel = () => stream.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    stream.write({ answerTunnelId: tunnelId });
    return {
      accept: () => {
        signal.removeEventListener('abort', cancel);
        signal.throwIfAborted();
        stream.write({ opened: {} });
        return Promise.resolve(this.#session.controlStream(tunnelId, { side: 'client', stream }));
      },
      refuse: (error) => {
        stream.resume();
        stream.write({ opened: { error: encodeRefusal(error, this.#context.kinship.node) } });
        stream.end();
      },
    };
  }

  /** Connects at once, while the rest of the way is still being opened. */
  #bulkAnswer(tunnelId: Buffer, signal: AbortSignal): Answer {
    let release = () => undefined as void;
    const connecting = (async () => {
      release = this.#session.peerBulkPlace();
      const connection = await this.#connectBulk(signal);
      connection.tls.write(
        framed(bulkPrefaceCodec.encode({ sessionId: this.#session.facts.id, answerTunnelId: tunnelId })),
      );
      return connection;
    })();
    connecting.catch(() => release());
    return {
      accept: async () => {
        const connection = await connecting;
        connection.tls.write(framed(tunnelOpenedCodec.encode({})));
        return this.#session.bulkStream(tunnelId, connection, release);
      },
      refuse: (error) => {
        connecting.then(
          (connection) => {
            release();
            const refusal = { error: encodeRefusal(error, this.#context.kinship.node) };
            connection.tls.end(framed(tunnelOpenedCodec.encode(refusal)));
            connection.tls.resume();
          },
          () => {
            if (!signal.aborted) this.#controlAnswer(tunnelId, signal).refuse(error);
          },
        );
      },
    };
  }
}

interface Answer {
  accept(): Promise<Duplex>;
  refuse(error: IsthmusError): void;
}
