// How the connector's side of a link opens tunnels: by a call, or by a bulk connection of its own. It answers the
// listener's OpenTunnel likewise.
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import { ALPN, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { formatHostPort } from '../../lib/net/host-port.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { LinkClient } from '../../proto/gen/isthmus/mesh/v1/Link.ts';
import type { OpenTunnel__Output } from '../../proto/gen/isthmus/mesh/v1/OpenTunnel.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import {
  decodeDenial,
  decodeRequest,
  encodeDenial,
  encodeRequest,
  newTunnelId,
  type TunnelRequest,
} from '../tunnel/request.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';
import { connectTo, type Connection } from './connection.ts';
import type { LinkContext } from './context.ts';
import type { LinkSession, Transport } from './session.ts';
import { tunnelRateLimited } from './tunnel-quota.ts';

type TunnelStream = ClientDuplexStream<TunnelFrame, TunnelFrame__Output>;

export class OutboundTransport implements Transport {
  readonly #context: LinkContext;
  readonly #session: LinkSession;
  readonly #rpc: LinkClient;
  readonly connection: Connection;
  readonly side = 'client';
  readonly #closeClient: () => void;
  /** The listener's requests that are not answered yet. */
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
      if (!opened) throw new IsthmusError('PROTOCOL', `${peer} did not answer a tunnel request`);
      if (opened.error) throw decodeDenial(opened.error, peer);
      return this.#session.controlStream(tunnelId, { side: 'client', stream });
    } catch (thrown) {
      stream.cancel();
      throw thrown;
    }
  }

  async #openBulk(request: TunnelRequest, signal: AbortSignal): Promise<Duplex> {
    const freeSlot = await this.#session.bulkSlot(signal);
    const tunnelId = newTunnelId();
    const preface = { sessionId: this.#session.facts.id, open: encodeRequest(tunnelId, request) };
    let connection: Connection | undefined;
    const abort = () => connection?.tls.destroy();
    signal.addEventListener('abort', abort, { once: true });
    try {
      connection = await this.#connectBulk(signal);
      connection.tls.write(framed(bulkPrefaceCodec.encode(preface)));
      const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
      if (opened.error) throw decodeDenial(opened.error, this.#session.facts.peer.node);
      return this.#session.bulkStream(tunnelId, connection, freeSlot);
    } catch (thrown) {
      freeSlot();
      connection?.tls.destroy();
      throw signal.aborted ? IsthmusError.from(signal.reason, 'CANCELLED') : thrown;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Connects to the address that the link reached: a name may resolve to several nodes. */
  async #connectBulk(signal: AbortSignal): Promise<Connection> {
    const { remoteAddress, remotePort } = this.connection.raw;
    if (remoteAddress === undefined || remotePort === undefined) {
      throw new IsthmusError('UNREACHABLE', 'the link has lost its connection');
    }
    const address = formatHostPort({ host: remoteAddress, port: remotePort });
    const identity = this.#context.trust.identity.current();
    const connection = await connectTo(address, ALPN.bulk, identity, signal);
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
    if (!this.#session.tryAcquire()) {
      const { node } = this.#session.facts.peer;
      const error = tunnelRateLimited(node);
      this.#context.trust.denials.record(error, node, 'link');
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
    const withdrawn = new AbortController();
    this.#answering.set(key, withdrawn);
    const signal = AbortSignal.any([withdrawn.signal, this.#session.signal]);
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
      deny: (error) => {
        this.#answering.delete(key);
        answer.deny(error);
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
      deny: (error) => {
        stream.resume();
        stream.write({ opened: { error: encodeDenial(error, this.#context.self.node) } });
        stream.end();
      },
    };
  }

  /** Connects at once, while the rest of the tunnel is still being opened. */
  #bulkAnswer(tunnelId: Buffer, signal: AbortSignal): Answer {
    let freeSlot = () => undefined as void;
    const connecting = (async () => {
      freeSlot = this.#session.peerBulkSlot();
      const connection = await this.#connectBulk(signal);
      connection.tls.write(
        framed(bulkPrefaceCodec.encode({ sessionId: this.#session.facts.id, answerTunnelId: tunnelId })),
      );
      return connection;
    })();
    connecting.catch(() => freeSlot());
    return {
      accept: async () => {
        const connection = await connecting;
        connection.tls.write(framed(tunnelOpenedCodec.encode({})));
        return this.#session.bulkStream(tunnelId, connection, freeSlot);
      },
      deny: (error) => {
        connecting.then(
          (connection) => {
            freeSlot();
            const denial = { error: encodeDenial(error, this.#context.self.node) };
            connection.tls.end(framed(tunnelOpenedCodec.encode(denial)));
            connection.tls.resume();
          },
          () => {
            if (!signal.aborted) this.#controlAnswer(tunnelId, signal).deny(error);
          },
        );
      },
    };
  }
}

interface Answer {
  accept(): Promise<Duplex>;
  deny(error: IsthmusError): void;
}
