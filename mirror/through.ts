// Passes a blob through a mirror that has no room for it, from the source to one requester. The tail is held back until
// the digest matches; no more than a window and that tail is in memory.
import { IsthmusError } from '../contract/errors.ts';
import { assertBytesMatch } from '../lib/blobs/blob-writer.ts';
import { DigestMeter } from '../lib/blobs/digest.ts';
import type { FetchTarget } from '../lib/blobs/fetch.ts';
import { Changes } from '../lib/async/changes.ts';

/** The tail that no requester gets before the digest matches. */
export const HELD_BACK_BYTES = 64 * 1024;
/** How much is read ahead of the requester, in addition to the tail. */
const WINDOW_BYTES = 1024 * 1024;

type State =
  | { readonly phase: 'running' }
  | { readonly phase: 'verified' }
  | { readonly phase: 'failed'; readonly error: unknown };

export class Through implements FetchTarget {
  readonly #sizeBytes: number;
  #meter: DigestMeter;
  readonly #changes = new Changes();
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  /** The position of the first queued byte. */
  #head: number;
  #state: State = { phase: 'running' };
  #handedOver: boolean;

  /** Continues after the bytes that `meter` has counted. */
  constructor(sizeBytes: number, meter: DigestMeter) {
    this.#sizeBytes = sizeBytes;
    this.#meter = meter;
    this.#head = meter.bytes;
    this.#handedOver = meter.bytes > 0;
  }

  get bytes(): number {
    return this.#meter.bytes;
  }

  /** Follows the fetch that writes here; readers get its error. */
  drivenBy(fetch: Promise<unknown>): void {
    fetch.catch((error: unknown) => this.#become({ phase: 'failed', error }));
  }

  async write(chunk: Buffer): Promise<void> {
    this.#meter.update(chunk);
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#changes.notify();
    while (this.#queuedBytes > WINDOW_BYTES + HELD_BACK_BYTES) await this.#changes.next();
  }

  /** Starts again, unless the requester already has bytes, which may be wrong. */
  restart(): Promise<void> {
    if (this.#handedOver) {
      return Promise.reject(
        new IsthmusError('PACKAGE_HASH_MISMATCH', 'bytes that may be wrong were handed on already'),
      );
    }
    this.#meter = new DigestMeter();
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#head = 0;
    return Promise.resolve();
  }

  commit(expected: { readonly sha256: string; readonly sizeBytes: number }): Promise<void> {
    try {
      assertBytesMatch({ sha256: this.#meter.sha256(), sizeBytes: this.#meter.bytes }, expected);
    } catch (thrown) {
      return Promise.reject(IsthmusError.from(thrown));
    }
    this.#become({ phase: 'verified' });
    return Promise.resolve();
  }

  /** Resolves when the digest matches. */
  async verified(): Promise<void> {
    while (this.#state.phase === 'running') await this.#changes.next();
    if (this.#state.phase === 'failed') throw this.#state.error;
  }

  get isVerified(): boolean {
    return this.#state.phase === 'verified';
  }

  /** Reads at a position; skips earlier bytes. */
  async read(position: number, buffer: Buffer): Promise<number> {
    if (position >= this.#sizeBytes) return 0;
    for (;;) {
      this.#dropBefore(position);
      const end = this.#state.phase === 'verified' ? this.#sizeBytes : this.#sizeBytes - HELD_BACK_BYTES;
      const first = this.#queue[0];
      if (first !== undefined && this.#head === position && position < end) {
        const length = Math.min(first.length, buffer.length, end - position);
        first.copy(buffer, 0, 0, length);
        this.#handedOver = true;
        this.#drop(length);
        return length;
      }
      if (this.#state.phase === 'failed') throw this.#state.error;
      await this.#changes.next();
    }
  }

  /** Frees the queue and ends the fetch. */
  close(): void {
    if (this.#state.phase === 'running') {
      this.#become({ phase: 'failed', error: new IsthmusError('CANCELLED', 'the requester has gone') });
    }
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#changes.notify();
  }

  #dropBefore(position: number): void {
    while (this.#head < position && this.#queue.length > 0) {
      this.#drop(Math.min(this.#queue[0]!.length, position - this.#head));
    }
  }

  #drop(length: number): void {
    const first = this.#queue[0]!;
    if (length === first.length) this.#queue.shift();
    else this.#queue[0] = first.subarray(length);
    this.#queuedBytes -= length;
    this.#head += length;
    this.#changes.notify();
  }

  #become(state: State): void {
    if (this.#state.phase !== 'running') return;
    this.#state = state;
    this.#changes.notify();
  }
}
