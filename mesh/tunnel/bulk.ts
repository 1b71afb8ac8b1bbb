// A bulk tunnel on one link: raw bytes on a TLS connection of its own, with at most the link's window in flight.
//
// All writes of one turn of the event loop go to TLS as one piece: one read of the kernel yields several records, and a
// system call for each costs more than its encryption.
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { TunnelWindow } from './window.ts';

/** Buffered at most, beside one piece in TLS: a few reads of the kernel, so that a piece is worth its call. */
const BUFFER_BYTES = 256 * 1024;

export interface BulkHooks {
  /** Told how many bytes were read so far, for the acknowledgement. */
  taken(totalBytes: number): void;
  closed(): void;
}

type Callback = (error?: Error | null) => void;

export class BulkStream extends Duplex {
  readonly #socket: TLSSocket;
  readonly #window: TunnelWindow;
  readonly #hooks: BulkHooks;
  #taken = 0;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** The writer that waits until the buffer has room. */
  #writer: Callback | undefined;
  #finisher: Callback | undefined;
  #pump: 'idle' | 'scheduled' | 'writing' | 'window' | 'dropping' = 'idle';

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
    // Without an error object, so that the user of the stream sees a lost connection, not a fault of its own.
    socket.on('error', () => this.destroy());
    socket.on('close', () => {
      // After a clean end the reader still gets what is buffered; unsent writes are dropped.
      if (socket.readableEnded) this.#dropWrites();
      else this.destroy();
    });
    if (socket.destroyed) this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: Callback): void {
    if (this.#pump === 'dropping') {
      callback();
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#pump === 'idle') {
      this.#pump = 'scheduled';
      setImmediate(() => this.#send());
    }
    if (this.#queuedBytes < BUFFER_BYTES) callback();
    else this.#writer = callback;
  }

  override _final(callback: Callback): void {
    this.#finisher = callback;
    if (this.#pump === 'idle' || this.#pump === 'dropping') this.#finish();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#window.close();
    this.#hooks.closed();
    this.#socket.destroy();
    this.#queue = [];
    const lost = new Error('the tunnel is closed');
    this.#writer?.(lost);
    this.#finisher?.(lost);
    this.#writer = this.#finisher = undefined;
    callback(error);
  }

  /** Writes as much of the queue as the window allows as one piece; continues when TLS has taken it. */
  #send(): void {
    if (this.destroyed || this.#pump === 'dropping') return;
    const room = this.#window.room();
    if (room <= 0) {
      this.#pump = 'window';
      this.#window.whenRoom(() => this.#send());
      return;
    }
    this.#pump = 'writing';
    const piece = this.#take(room);
    const socket = this.#socket;
    socket.cork();
    for (const chunk of piece.slice(0, -1)) socket.write(chunk);
    socket.write(piece.at(-1)!, () => this.#sent());
    socket.uncork();
    const writer = this.#writer;
    if (writer === undefined || this.#queuedBytes >= BUFFER_BYTES) return;
    this.#writer = undefined;
    writer();
  }

  #sent(): void {
    if (this.destroyed || this.#pump === 'dropping') return;
    if (this.#queue.length > 0) {
      this.#send();
      return;
    }
    this.#pump = 'idle';
    if (this.#finisher !== undefined) this.#finish();
  }

  /** The peer has closed, so no acknowledgement will come: a writer must not wait for one. */
  #dropWrites(): void {
    this.#pump = 'dropping';
    this.#queue = [];
    this.#queuedBytes = 0;
    const writer = this.#writer;
    this.#writer = undefined;
    writer?.();
    this.#finish();
  }

  #take(room: number): Buffer[] {
    const piece: Buffer[] = [];
    let bytes = 0;
    for (const chunk of this.#queue) {
      if (bytes >= room) break;
      piece.push(chunk.length <= room - bytes ? chunk : chunk.subarray(0, room - bytes));
      bytes += piece.at(-1)!.length;
    }
    const last = this.#queue[piece.length - 1]!;
    const cut = piece.at(-1)!.length;
    this.#queue.splice(0, piece.length);
    if (cut < last.length) this.#queue.unshift(last.subarray(cut));
    this.#queuedBytes -= bytes;
    this.#window.wrote(bytes, bytes >= room);
    return piece;
  }

  #finish(): void {
    const callback = this.#finisher;
    this.#finisher = undefined;
    if (callback === undefined) return;
    if (this.#socket.destroyed) callback();
    else this.#socket.end(() => callback());
  }
}
