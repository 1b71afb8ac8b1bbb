// How the listener's side of a link opens tunnels: it requests one on Attach, and the connector answers with a call, or
// a bulk connection, that names the tunnel.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import { toServiceError } from '../../lib/grpc/errors.ts';
import type { AttachFrame, AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { readFrame } from '../tunnel/frame.ts';
import { nextFrame } from '../tunnel/next-frame.ts';
import { decodeDenial, encodeRequest, newTunnelId, type TunnelRequest } from '../tunnel/request.ts';
import type { ServiceClass } from '../types.ts';
import { tunnelOpenedCodec } from '../wire.ts';
import type { InboundConnection } from './listener.ts';
import type { LinkSession, Transport } from './session.ts';

export type AttachCall = ServerDuplexStream<AttachFrame__Output, AttachFrame>;
export type TunnelServerCall = ServerDuplexStream<TunnelFrame__Output, TunnelFrame>;

/** A requested tunnel that the connector has not answered. */
interface RequestedTunnel {
  readonly serviceClass: ServiceClass;
  /** Frees the bulk slot. */
  readonly freeSlot: () => void;
  resolve(stream: Duplex): void;
  reject(error: IsthmusError): void;
}

export class InboundTransport implements Transport {
  readonly session: LinkSession;
  readonly #call: AttachCall;
  readonly connection: InboundConnection;
  readonly side = 'server';
  readonly #onClosed: () => void;
  readonly #requested = new Map<string, RequestedTunnel>();

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
    const freeSlot = serviceClass === 'bulk' ? await this.session.bulkSlot(signal) : () => undefined;
    // A bulk answer is a connection, which has a slot.
    const stopExpecting = serviceClass === 'control' ? this.session.expectAnswer() : () => undefined;
    const { promise, resolve: found, reject } = Promise.withResolvers<Duplex>();
    const resolve = (stream: Duplex) => {
      // Too late: the caller has gone.
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
      this.#requested.set(key, { serviceClass, freeSlot, resolve, reject });
      this.session.send({ open: encodeRequest(tunnelId, request) });
      return await promise;
    } catch (thrown) {
      freeSlot();
      throw IsthmusError.from(thrown, 'UNREACHABLE');
    } finally {
      signal.removeEventListener('abort', abort);
      this.#requested.delete(key);
      stopExpecting();
    }
  }

  receive(): void {
    // Every other frame is for both sides, or comes as a call.
  }

  close(code: ErrorCode, detail: string): void {
    this.#onClosed();
    if (!this.#call.cancelled && !this.#call.destroyed) {
      this.#call.emit('error', toServiceError(new IsthmusError(code, detail)));
    }
    // Later, so that the goodbye is sent.
    setImmediate(() => this.connection.tls.destroy());
  }

  /** Takes the connector's answer by call: the tunnel, or a denial. */
  async answered(tunnelId: Buffer, stream: TunnelServerCall): Promise<void> {
    const requested = this.#take(tunnelId);
    const peer = this.session.facts.peer.node;
    const { opened } = await nextFrame<TunnelFrame__Output>(stream, this.session.signal, peer).catch(
      (thrown: unknown) => {
        const error = IsthmusError.from(thrown, 'UNREACHABLE');
        requested.reject(error);
        throw error;
      },
    );
    if (opened && !opened.error && requested.serviceClass === 'control') {
      requested.resolve(this.session.controlStream(tunnelId, { side: 'server', stream }));
      return;
    }
    const error = opened?.error
      ? decodeDenial(opened.error, peer)
      : new IsthmusError('PROTOCOL', `${peer} answered a tunnel request with the wrong message`);
    requested.reject(error);
    stream.end();
    stream.resume();
  }

  /** Takes the connector's answer by bulk connection. */
  async connected(tunnelId: Buffer, connection: InboundConnection): Promise<void> {
    const requested = this.#take(tunnelId);
    try {
      if (requested.serviceClass !== 'bulk') throw new IsthmusError('PROTOCOL', 'a bulk answer to a control request');
      const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
      if (opened.error) throw decodeDenial(opened.error, this.session.facts.peer.node);
      requested.resolve(this.session.bulkStream(tunnelId, connection, requested.freeSlot));
    } catch (thrown) {
      connection.tls.destroy();
      requested.reject(IsthmusError.from(thrown, 'UNREACHABLE'));
    }
  }

  /** Takes the request that an answer names; it can be answered once. */
  #take(tunnelId: Buffer): RequestedTunnel {
    const key = tunnelId.toString('hex');
    const requested = this.#requested.get(key);
    if (!requested) throw new IsthmusError('CANCELLED', 'no request awaits this tunnel');
    this.#requested.delete(key);
    return requested;
  }
}
