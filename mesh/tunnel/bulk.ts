// A bulk tunnel on one link: raw bytes on a TLS connection of its own, no more in flight than the link's window allows.
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { TunnelWindow } from './window.ts';

export interface BulkHooks {
  /** Bytes read off the connection so far, for the acknowledgement. */
  taken(totalBytes: number): void;
  closed(): void;
}

export class BulkStream extends Duplex {
  readonly #socket: TLSSocket;
  readonly #window: TunnelWindow;
  readonly #hooks: BulkHooks;
  #taken = 0;
  #parked: ((error?: Error | null) => void) | undefined;

  constructor(socket: TLSSocket, window: TunnelWindow, hooks: BulkHooks) {
    super({ allowHalfOpen: false, readableHighWaterMark: 64 * 1024, writableHighWaterMark: 64 * 1024 });
    this.#socket = socket;
    this.#window = window;
    this.#hooks = hooks;
    socket.on('data', (chunk: Buffer) => {
      this.#taken += chunk.length;
      hooks.taken(this.#taken);
      if (!this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    // Without an error object: what runs inside must see a lost connection, not a fault of its own.
    socket.on('error', () => this.destroy());
    socket.on('close', () => {
      // After a whole end, what is still buffered here is its reader's.
      if (!socket.readableEnded) this.destroy();
    });
    if (socket.destroyed) this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    this.#parked = callback;
    this.#window.whenRoom(() => {
      this.#window.wrote(chunk.length);
      this.#socket.write(chunk, (error) => {
        if (this.#parked !== callback) return;
        this.#parked = undefined;
        callback(error);
      });
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) callback();
    else this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#window.close();
    this.#hooks.closed();
    this.#socket.destroy();
    const parked = this.#parked;
    this.#parked = undefined;
    parked?.(new Error('the tunnel is closed'));
    callback(error);
  }
}
