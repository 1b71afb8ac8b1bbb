// The disk space of a mirror's cache: a quota, and free space that must remain on the disk. The least recently used
// package is evicted first; packages that are being served are not evicted.
import type { Logger } from '../lib/telemetry/log.ts';
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import { freeBytes } from '../lib/files/disk-space.ts';

export interface SpaceLimits {
  readonly quotaBytes: number;
  readonly minFreeBytes: number;
}

export class Space {
  readonly #blobs: BlobStore;
  readonly #limits: SpaceLimits;
  readonly #log: Logger;
  readonly #reserved = new Map<string, number>();
  readonly #serving = new Map<string, number>();

  constructor(blobs: BlobStore, limits: SpaceLimits, log: Logger) {
    this.#blobs = blobs;
    this.#limits = limits;
    this.#log = log;
  }

  /** Keeps a blob from being evicted until the returned function is called. */
  hold(sha256: string): () => void {
    this.#serving.set(sha256, (this.#serving.get(sha256) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#serving.get(sha256) ?? 1) - 1;
      if (left === 0) this.#serving.delete(sha256);
      else this.#serving.set(sha256, left);
    };
  }

  /** Reserves room for a blob, evicting others; false when there is not enough. */
  async reserve(sha256: string, sizeBytes: number): Promise<boolean> {
    if (sizeBytes > this.#limits.quotaBytes) return false;
    // Reserved first, so that two concurrent calls do not count on the same room.
    this.#reserved.set(sha256, sizeBytes);
    for (;;) {
      const { missingBytes, evictableBytes } = await this.#survey();
      if (missingBytes <= 0) return true;
      // Nothing is evicted when even an empty cache would not be enough.
      if (missingBytes <= evictableBytes && (await this.evictOne())) continue;
      this.unreserve(sha256);
      return false;
    }
  }

  /** Ends a reservation: the blob has been fetched, or will not be. */
  unreserve(sha256: string): void {
    this.#reserved.delete(sha256);
  }

  /** Evicts the oldest partial download, else the least recently used package; false when there is neither. */
  async evictOne(): Promise<boolean> {
    const idle = (await this.#blobs.partials()).filter(({ sha256 }) => !this.#reserved.has(sha256));
    const [partial] = idle.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs);
    if (partial !== undefined) {
      await this.#blobs.dropPartial(partial.sha256);
      return true;
    }
    const evictable = this.#blobs.list().filter(({ sha256 }) => !this.#serving.has(sha256));
    const [oldest] = evictable.sort((a, b) => a.usedAtMs - b.usedAtMs);
    if (oldest === undefined) return false;
    this.#log.info({ sha256: oldest.sha256, sizeBytes: oldest.sizeBytes }, 'evicting a package');
    await this.#blobs.delete(oldest.sha256);
    return true;
  }

  /** How much room is missing, and how much eviction could free. */
  async #survey(): Promise<{ missingBytes: number; evictableBytes: number }> {
    const partials = await this.#blobs.partials();
    const idleBytes = sum(partials.filter(({ sha256 }) => !this.#reserved.has(sha256)));
    const evictableBytes = idleBytes + sum(this.#blobs.list().filter(({ sha256 }) => !this.#serving.has(sha256)));
    let reserved = 0;
    for (const bytes of this.#reserved.values()) reserved += bytes;
    // Reservations count in full. A part may be written already, which only errs on the safe side.
    const free = await freeBytes(this.#blobs.folder);
    const overQuota = this.#blobs.usedBytes + idleBytes + reserved - this.#limits.quotaBytes;
    return { missingBytes: Math.max(overQuota, this.#limits.minFreeBytes + reserved - free), evictableBytes };
  }
}

function sum(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
