// Limits peers without a certificate: attempts per address and in total, concurrent streams, bytes and time of each.
import { LRUCache } from 'lru-cache';
import { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';
import type { EnrolmentLimits } from '../limits.ts';
import { TokenBucket } from '../../lib/async/token-bucket.ts';
import { closeWithin } from '../../lib/async/deadline.ts';

/** An attacker with many addresses must not grow this; a forgotten address starts with a full burst. */
const MAX_ADDRESSES = 4096;

export class EnrolmentLimiter {
  readonly #limits: EnrolmentLimits;
  readonly #all: TokenBucket;
  readonly #byAddress = new LRUCache<string, TokenBucket>({ max: MAX_ADDRESSES });
  #open = 0;

  constructor(limits: EnrolmentLimits, nowMs: number = performance.now()) {
    this.#limits = limits;
    this.#all = new TokenBucket(limits.perSecond, limits.burst, nowMs);
  }

  /**
   * Counts an attempt; RESOURCE_EXHAUSTED when there were too many. The address is checked first, so that one noisy
   * address does not use up the total.
   */
  acquire(address: string, nowMs: number = performance.now()): void {
    const { perAddressPerSecond, perAddressBurst, concurrent } = this.#limits;
    let bucket = this.#byAddress.get(address);
    if (bucket === undefined) {
      bucket = new TokenBucket(perAddressPerSecond, perAddressBurst, nowMs);
      this.#byAddress.set(address, bucket);
    }
    if (!bucket.take(1, nowMs) || !this.#all.take(1, nowMs) || this.#open >= concurrent) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many enrolments are being tried');
    }
  }

  /** The connection as a stream that closes when it has used its bytes or its time. */
  bound(socket: TLSSocket): Duplex {
    this.#open += 1;
    const stream = new CappedStream(socket, this.#limits.bytes);
    closeWithin(stream, this.#limits.ms);
    stream.once('close', () => (this.#open -= 1));
    return stream;
  }
}

/** A socket with a byte budget for both directions together. */
class CappedStream extends Duplex {
  readonly #socket: TLSSocket;
  #left: number;

  constructor(socket: TLSSocket, bytes: number) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#left = bytes;
    socket.on('data', (chunk: Buffer) => {
      if (this.#spend(chunk) && !this.push(chunk)) socket.pause();
    });
    socket.on('end', () => this.push(null));
    socket.on('error', () => this.destroy());
    socket.on('close', () => {
      if (!socket.readableEnded) this.destroy();
    });
    if (socket.destroyed) this.destroy();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void): void {
    if (this.#spend(chunk)) this.#socket.write(chunk, callback);
    else callback();
  }

  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) callback();
    else this.#socket.end(() => callback());
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#socket.destroy();
    callback(error);
  }

  #spend(chunk: Buffer): boolean {
    this.#left -= chunk.length;
    if (this.#left < 0) this.destroy();
    return this.#left >= 0;
  }
}
