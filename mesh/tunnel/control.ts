// A control tunnel on one link: a byte stream over one gRPC `Tunnel` call, with back-pressure both ways. Teardown is
// where such things leak; the rules here were found by tearing down hundreds under load.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { status as Status } from '@grpc/grpc-js';
import { Duplex } from 'node:stream';
import type { FrameSource } from '../link/next-frame.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';

/** The `Tunnel` call as either end holds it. */
export type TunnelCall =
  | { readonly side: 'client'; readonly stream: ClientDuplexStream<TunnelFrame, TunnelFrame__Output> }
  | { readonly side: 'server'; readonly stream: ServerDuplexStream<TunnelFrame__Output, TunnelFrame> };

/** One frame carries at most this much, so that tunnels that share the connection take turns. */
const maxDataBytes = 64 * 1024;

/** Ends a call that carries, or will carry, no tunnel. Blocked data does not hold it: the client side resets. */
export function abandonCall(call: TunnelCall): void {
  if (call.side === 'client') {
    call.stream.cancel();
    return;
  }
  if (call.stream.cancelled || call.stream.destroyed) return;
  // grpc-js ends the call with this status. Unread requests must not hold it.
  call.stream.emit('error', { code: Status.CANCELLED, details: 'the tunnel is closed' });
  call.stream.resume();
}

export class ControlStream extends Duplex {
  readonly #call: TunnelCall;
  readonly #onClosed: () => void;
  #parked: ((error?: Error | null) => void) | undefined;
  #ended = false;

  /** `onClosed` runs once, when the tunnel is gone; on the server side it must tell the peer to let go as well. */
  constructor(call: TunnelCall, onClosed: () => void) {
    super({ allowHalfOpen: false, readableHighWaterMark: maxDataBytes, writableHighWaterMark: maxDataBytes });
    this.#call = call;
    this.#onClosed = onClosed;
    const stream: FrameSource = call.stream;
    stream.on('data', (frame: TunnelFrame__Output) => {
      if (frame.data && frame.data.length > 0 && !this.push(frame.data)) stream.pause();
    });
    stream.on('end', () => this.push(null));
    stream.on('drain', () => this.#unpark());
    if (call.side === 'client') {
      call.stream.on('error', () => undefined);
      call.stream.on('status', (end) => {
        this.#ended = true;
        // After the data that came before it, and without an error object: calls inside must see UNAVAILABLE.
        if (end.code !== Status.OK) setImmediate(() => this.destroy());
        else this.#unpark();
      });
    } else {
      call.stream.on('cancelled', () => {
        this.#ended = true;
        setImmediate(() => this.destroy());
      });
      call.stream.on('close', () => {
        this.#ended = true;
        // A whole end is passed on by the reader, who may not have read everything yet.
        if (call.stream.readableEnded) this.#unpark();
        else setImmediate(() => this.destroy());
      });
    }
  }

  override _read(): void {
    this.#call.stream.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (this.#ended) {
      // The peer has closed the tunnel as a whole: what is still written goes nowhere.
      callback();
      return;
    }
    let more = true;
    for (let from = 0; from < chunk.length; from += maxDataBytes) {
      more = this.#call.stream.write({ data: chunk.subarray(from, from + maxDataBytes) });
    }
    if (more) callback();
    else this.#parked = callback;
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (!this.#ended) this.#call.stream.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (!this.#ended) abandonCall(this.#call);
    this.#ended = true;
    this.#onClosed();
    // A write that waits for a drain that cannot come any more would hold its writer for ever.
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.(new Error('the tunnel is closed'));
    callback(error);
  }

  #unpark(): void {
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.();
  }
}
