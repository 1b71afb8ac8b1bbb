// What a mirror's cache may take up: a quota and a mark of free space on the disk. What was not asked for longest goes
// first; what is being served never goes.
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

  /** Makes room for a blob that is to be fetched, evicting others; false when there is none to be had. */
  async reserve(sha256: string, sizeBytes: number): Promise<boolean> {
    if (sizeBytes > this.#limits.quotaBytes) return false;
    // First, so that two that arrive together do not both count on the same room.
    this.#reserved.set(sha256, sizeBytes);
    for (;;) {
      const { missingBytes, evictableBytes } = await this.#survey();
      if (missingBytes <= 0) return true;
      // Where emptying the cache would not be enough, it is not emptied.
      if (missingBytes <= evictableBytes && (await this.evictOne())) continue;
      this.release(sha256);
      return false;
    }
  }

  /** The blob has been fetched, or will not be. */
  release(sha256: string): void {
    this.#reserved.delete(sha256);
  }

  /** Evicts what is least worth keeping; false when there is nothing. */
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

  /** How much too little room there is, and how much eviction could give. */
  async #survey(): Promise<{ missingBytes: number; evictableBytes: number }> {
    const partials = await this.#blobs.partials();
    const idleBytes = sum(partials.filter(({ sha256 }) => !this.#reserved.has(sha256)));
    const evictableBytes = idleBytes + sum(this.#blobs.list().filter(({ sha256 }) => !this.#serving.has(sha256)));
    let reserved = 0;
    for (const bytes of this.#reserved.values()) reserved += bytes;
    // What is reserved counts in full: that a part of it is written already only errs on the safe side.
    const free = await freeBytes(this.#blobs.folder);
    const overQuota = this.#blobs.usedBytes + idleBytes + reserved - this.#limits.quotaBytes;
    return { missingBytes: Math.max(overQuota, this.#limits.minFreeBytes + reserved - free), evictableBytes };
  }
}

function sum(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
