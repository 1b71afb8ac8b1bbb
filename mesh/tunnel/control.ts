// A control tunnel on one link: a byte stream over one gRPC `Tunnel` call, with back-pressure both ways. Its teardown
// rules were found by closing hundreds of tunnels under load.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { status as Status } from '@grpc/grpc-js';
import { Duplex } from 'node:stream';
import type { TunnelFrame, TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import type { FrameSource } from './next-frame.ts';
import { closeWithin } from '../../lib/async/deadline.ts';

/** The `Tunnel` call, on either side. */
export type TunnelCall =
  | { readonly side: 'client'; readonly stream: ClientDuplexStream<TunnelFrame, TunnelFrame__Output> }
  | { readonly side: 'server'; readonly stream: ServerDuplexStream<TunnelFrame__Output, TunnelFrame> };

export interface ControlHooks {
  /** Calls `send` once the link may carry one more frame. */
  whenFree(send: () => void): void;
  /** The tunnel is closed for this node. */
  closed(): void;
  /** Pending bytes are dropped. On the server side of a call the peer must be told to reset it. */
  abandoned(): void;
}

/** How long a cleanly ended tunnel may take to deliver its last bytes. */
const LINGER_MS = 30_000;

/** The most that one frame carries, so that tunnels share the connection fairly. */
const MAX_DATA_BYTES = 64 * 1024;

/** Ends a call without a tunnel. Blocked data does not delay it: the client side resets the call. */
export function abandonCall(call: TunnelCall): void {
  if (call.side === 'client') {
    call.stream.cancel();
    return;
  }
  if (call.stream.cancelled || call.stream.destroyed) return;
  // grpc-js ends the call with this status. Unread requests must not delay it.
  call.stream.emit('error', { code: Status.CANCELLED, details: 'the tunnel is closed' });
  call.stream.resume();
}

export class ControlStream extends Duplex {
  readonly #call: TunnelCall;
  readonly #hooks: ControlHooks;
  #pendingWrite: ((error?: Error | null) => void) | undefined;
  #ended = false;

  constructor(call: TunnelCall, hooks: ControlHooks) {
    super({ allowHalfOpen: false, readableHighWaterMark: MAX_DATA_BYTES, writableHighWaterMark: MAX_DATA_BYTES });
    this.#call = call;
    this.#hooks = hooks;
    const stream: FrameSource = call.stream;
    stream.on('data', (frame: TunnelFrame__Output) => {
      if (this.destroyed) return;
      if (frame.data && frame.data.length > 0 && !this.push(frame.data)) stream.pause();
    });
    stream.on('end', () => this.push(null));
    stream.on('drain', () => this.#resumeWrite());
    if (call.side === 'client') {
      call.stream.on('error', () => undefined);
      call.stream.on('status', (end) => {
        this.#ended = true;
        // After the data before it, and without an error object, so that calls inside see UNAVAILABLE.
        if (end.code !== Status.OK) setImmediate(() => this.destroy());
        else this.#resumeWrite();
      });
    } else {
      call.stream.on('cancelled', () => {
        this.#ended = true;
        setImmediate(() => this.destroy());
      });
      call.stream.on('close', () => {
        this.#ended = true;
        // After a clean end the reader closes, which may not have read everything yet.
        if (call.stream.readableEnded) this.#resumeWrite();
        else setImmediate(() => this.destroy());
      });
    }
  }

  override _read(): void {
    this.#call.stream.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#hooks.whenFree(() => this.#send(chunk, callback));
  }

  /** Merges what was written while the last write waited. */
  override _writev(chunks: { readonly chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), '', callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (!this.#ended) this.#call.stream.end();
    callback();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (this.writableFinished && error === null) this.#linger();
    else this.#abandon();
    this.#hooks.closed();
    // A write must not wait for a drain that cannot come.
    const pendingWrite = this.#pendingWrite;
    this.#pendingWrite = undefined;
    pendingWrite?.(new Error('the tunnel is closed'));
    callback(error);
  }

  #abandon(): void {
    if (this.#ended) return;
    this.#ended = true;
    abandonCall(this.#call);
    this.#hooks.abandoned();
  }

  /** After a clean end gRPC delivers the rest and the call ends by itself; a stalled peer gets only so long. */
  #linger(): void {
    if (this.#ended) return;
    const { stream } = this.#call;
    closeWithin(stream, LINGER_MS, () => this.#abandon());
    stream.resume();
  }

  #send(bytes: Buffer, callback: (error?: Error | null) => void): void {
    if (this.#ended) {
      // The peer has closed the tunnel, so writes are dropped.
      callback();
      return;
    }
    let more = true;
    for (let from = 0; from < bytes.length; from += MAX_DATA_BYTES) {
      more = this.#call.stream.write({ data: bytes.subarray(from, from + MAX_DATA_BYTES) });
    }
    if (more) callback();
    else this.#pendingWrite = callback;
  }

  #resumeWrite(): void {
    const pendingWrite = this.#pendingWrite;
    this.#pendingWrite = undefined;
    pendingWrite?.();
  }
}
