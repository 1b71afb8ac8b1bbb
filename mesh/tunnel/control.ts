// A control tunnel on one link: a byte stream over one gRPC `Tunnel` call, with back-pressure both ways. Teardown is
// where such things leak; the rules here were found by tearing down hundreds under load.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { status as Status } from '@grpc/grpc-js';
import { Duplex } from 'node:stream';
import type { FrameSource } from './next-frame.ts';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';

/** The `Tunnel` call as either end holds it. */
export type TunnelCall =
  | { readonly side: 'client'; readonly stream: ClientDuplexStream<TunnelFrame, TunnelFrame__Output> }
  | { readonly side: 'server'; readonly stream: ServerDuplexStream<TunnelFrame__Output, TunnelFrame> };

export interface ControlHooks {
  /** The tunnel is gone, for this node. */
  closed(): void;
  /** What is still under way is not wanted: on the server side of a call the peer must be told to reset it. */
  abandoned(): void;
}

/** How long a tunnel that was ended whole may take to deliver its last bytes. */
const lingerMs = 30_000;

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
  readonly #hooks: ControlHooks;
  #parked: ((error?: Error | null) => void) | undefined;
  #ended = false;

  constructor(call: TunnelCall, hooks: ControlHooks) {
    super({ allowHalfOpen: false, readableHighWaterMark: maxDataBytes, writableHighWaterMark: maxDataBytes });
    this.#call = call;
    this.#hooks = hooks;
    const stream: FrameSource = call.stream;
    stream.on('data', (frame: TunnelFrame__Output) => {
      if (this.destroyed) return;
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
    if (this.writableFinished && error === null) this.#linger();
    else this.#abandon();
    this.#hooks.closed();
    // A write that waits for a drain that cannot come any more would hold its writer for ever.
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.(new Error('the tunnel is closed'));
    callback(error);
  }

  #abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    abandonCall(this.#call);
    this.#hooks.abandoned();
  }

  /** Ended whole: grpc delivers what it was given, and the call ends by itself; a peer that stalls gets no longer. */
  #linger(): void {
    if (this.#ended) return;
    const { stream } = this.#call;
    const limit = setTimeout(() => this.#abandon(), lingerMs);
    limit.unref();
    stream.once('close', () => clearTimeout(limit));
    stream.resume();
  }

  #unpark(): void {
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.();
  }
}
