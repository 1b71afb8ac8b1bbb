// The disk space of a mirror's cache: a quota, and free space that must remain on the disk. Each is a high-water mark;
// once it is reached, packages are evicted down to a low-water mark. What is least used goes first (uses.ts), and nothing
// that is being served, is pinned or has a lease (protection.ts).
import type { Logger } from '../lib/telemetry/log.ts';
import type { BlobStore, StoredBlob } from '../lib/blobs/blob-store.ts';
import { freeBytes } from '../lib/files/disk-space.ts';
import type { Uses } from './uses.ts';

export interface SpaceLimits {
  readonly quotaBytes: number;
  readonly minFreeBytes: number;
  /** The low-water mark, in per cent of the quota. */
  readonly lowWaterPercent?: number | undefined;
}

/** Why something was evicted. `write`: the disk was full although the marks said otherwise. `gc`: on request. */
export type EvictionReason = 'quota' | 'free-space' | 'write' | 'gc';

export interface Evicted {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** A package, or what is left of one: an interrupted download, or a damaged file. */
  readonly what: 'package' | 'partial' | 'damaged';
}

export interface SpaceDeps {
  readonly blobs: BlobStore;
  readonly limits: SpaceLimits;
  readonly uses: Pick<Uses, 'compare' | 'evicted'>;
  readonly isProtected: (sha256: string) => boolean;
  /** Bytes that others keep beside the packages. */
  readonly otherBytes: () => number;
  readonly onEvicted: (evicted: Evicted, reason: EvictionReason) => void;
  readonly log: Logger;
}

interface Survey {
  /** Above the high-water marks, and above the low-water marks. */
  readonly missingBytes: number;
  readonly lowMissingBytes: number;
  readonly reason: EvictionReason;
  readonly evictableBytes: number;
}

const DEFAULT_LOW_WATER_PERCENT = 90;

export class Space {
  readonly #deps: SpaceDeps;
  readonly #reserved = new Map<string, number>();
  readonly #serving = new Map<string, number>();
  #isFull = false;

  constructor(deps: SpaceDeps) {
    this.#deps = deps;
  }

  /** Whether the last package had no room although all was evicted that may be. */
  get isFull(): boolean {
    return this.#isFull;
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
    // Reserved first, so that two concurrent calls do not count on the same room.
    this.#reserved.set(sha256, sizeBytes);
    const hasRoom = sizeBytes <= this.#deps.limits.quotaBytes && (await this.#makeRoom());
    if (!hasRoom) this.unreserve(sha256);
    this.#isFull = !hasRoom;
    return hasRoom;
  }

  /** Ends a reservation: the blob has been fetched, or will not be. */
  unreserve(sha256: string): void {
    this.#reserved.delete(sha256);
  }

  /** Evicts what is least worth keeping; undefined when there is nothing that may go. */
  async evictOne(reason: EvictionReason): Promise<Evicted | undefined> {
    const [first] = await this.#evictable();
    if (first !== undefined) await this.#evict(first, reason);
    return first;
  }

  /** What a collection removes: damaged files, interrupted downloads, and packages down to the low-water marks. */
  async collect({ dryRun }: { readonly dryRun: boolean }): Promise<Evicted[]> {
    const { lowMissingBytes } = await this.#survey();
    const removed: Evicted[] = [];
    let freed = 0;
    for (const each of await this.#evictable()) {
      if (each.what === 'package' && freed >= lowMissingBytes) break;
      freed += each.sizeBytes;
      removed.push(each);
      if (!dryRun) await this.#evict(each, 'gc');
    }
    return removed;
  }

  async #makeRoom(): Promise<boolean> {
    for (let survey = await this.#survey(); survey.missingBytes > 0; survey = await this.#survey()) {
      // Nothing is evicted when even an empty cache would not be enough.
      if (survey.missingBytes > survey.evictableBytes || !(await this.#evictToLowWater(survey.reason))) return false;
    }
    return true;
  }

  /** Whether anything went. */
  async #evictToLowWater(reason: EvictionReason): Promise<boolean> {
    let hasEvicted = false;
    while ((await this.#survey()).lowMissingBytes > 0 && (await this.evictOne(reason)) !== undefined) hasEvicted = true;
    return hasEvicted;
  }

  async #evict({ sha256, sizeBytes, what }: Evicted, reason: EvictionReason): Promise<void> {
    const { blobs, uses, onEvicted, log } = this.#deps;
    if (what === 'partial') await blobs.dropPartial(sha256);
    else if (what === 'damaged') await blobs.dropDamaged(sha256);
    else {
      log.info({ sha256, sizeBytes, reason }, 'evicting a package');
      uses.evicted(sha256);
      await blobs.delete(sha256);
    }
    onEvicted({ sha256, sizeBytes, what }, reason);
  }

  /** All that may go, what goes first first. */
  async #evictable(): Promise<Evicted[]> {
    const { blobs, uses } = this.#deps;
    const partials = (await blobs.partials()).filter(({ sha256 }) => !this.#reserved.has(sha256));
    const packages = blobs.list().filter((blob) => this.#mayGo(blob));
    const as = (what: Evicted['what']) => {
      return ({ sha256, sizeBytes }: Pick<Evicted, 'sha256' | 'sizeBytes'>): Evicted => ({ sha256, sizeBytes, what });
    };
    return [
      ...(await blobs.damaged()).map(as('damaged')),
      ...partials.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs).map(as('partial')),
      ...packages.sort((a, b) => uses.compare(a, b)).map(as('package')),
    ];
  }

  #mayGo({ sha256 }: Pick<StoredBlob, 'sha256'>): boolean {
    return !this.#serving.has(sha256) && !this.#deps.isProtected(sha256);
  }

  /** How much room is missing, and how much eviction could free. */
  async #survey(): Promise<Survey> {
    const { blobs, limits, otherBytes } = this.#deps;
    const { quotaBytes, minFreeBytes, lowWaterPercent = DEFAULT_LOW_WATER_PERCENT } = limits;
    const evictable = await this.#evictable();
    const left = sum(evictable.filter(({ what }) => what !== 'package'));
    let reserved = 0;
    for (const bytes of this.#reserved.values()) reserved += bytes;
    // Reservations count in full. A part may be written already, which only errs on the safe side.
    const used = blobs.usedBytes + left + reserved + otherBytes();
    const free = (await freeBytes(blobs.folder)) - reserved;
    const overQuota = used - quotaBytes;
    const underFree = minFreeBytes - free;
    return {
      missingBytes: Math.max(overQuota, underFree),
      lowMissingBytes: Math.max(
        used - (quotaBytes / 100) * lowWaterPercent,
        Math.max(minFreeBytes, (minFreeBytes / lowWaterPercent) * 100) - free,
      ),
      reason: overQuota >= underFree ? 'quota' : 'free-space',
      evictableBytes: sum(evictable),
    };
  }
}

function sum(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
