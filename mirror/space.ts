// The disk space of a mirror's cache: a quota, and free space that must remain on the disk. Each is a high-water mark;
// once it is reached, packages are evicted down to a low-water mark. What is least used goes first (uses.ts). Pins
// (protection.ts) go after all else, the least important first, as many as it takes, and only for what somebody waits for
// or has a lease. What is being served or has a lease never goes.
import type { Logger } from '../lib/telemetry/log.ts';
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import type { BlobInfo } from '../lib/blobs/blob-writer.ts';
import { freeBytes } from '../lib/files/disk-space.ts';
import type { Protection } from './protection.ts';
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
  readonly protection: Pick<Protection, 'isLeased' | 'isPinned' | 'importanceOf'>;
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
}

/** What is evicted. */
interface Extent {
  /** Pins, too. */
  readonly pins: boolean;
}

const DEFAULT_LOW_WATER_PERCENT = 90;
const ALL_BUT_PINS: Extent = { pins: false };

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
  async reserve({ sha256, sizeBytes }: BlobInfo, extent: Extent): Promise<boolean> {
    // Reserved first, so that two concurrent calls do not count on the same room.
    this.#reserved.set(sha256, sizeBytes);
    const hasRoom = sizeBytes <= this.#deps.limits.quotaBytes && (await this.#makeRoom(extent));
    if (!hasRoom) this.unreserve(sha256);
    this.#isFull = !hasRoom;
    return hasRoom;
  }

  /** Ends a reservation: the blob has been fetched, or will not be. */
  unreserve(sha256: string): void {
    this.#reserved.delete(sha256);
  }

  /** Evicts what is least worth keeping; whether there was anything that may go. */
  async evictOne(reason: EvictionReason, extent: Extent): Promise<boolean> {
    for (const each of await this.#evictable(extent)) if (await this.#evict(each, reason, extent)) return true;
    return false;
  }

  /** What a collection removes: damaged files, interrupted downloads, and packages down to the low-water marks. */
  async collect({ dryRun }: { readonly dryRun: boolean }): Promise<Evicted[]> {
    const { lowMissingBytes } = await this.#survey();
    const removed: Evicted[] = [];
    let freed = 0;
    for (const each of await this.#evictable(ALL_BUT_PINS)) {
      if (each.what === 'package' && freed >= lowMissingBytes) break;
      if (!dryRun && !(await this.#evict(each, 'gc', ALL_BUT_PINS))) continue;
      freed += each.sizeBytes;
      removed.push(each);
    }
    return removed;
  }

  async #makeRoom(extent: Extent): Promise<boolean> {
    for (let survey = await this.#survey(); survey.missingBytes > 0; survey = await this.#survey()) {
      // Nothing is evicted when even all that may go would not be enough.
      if (survey.missingBytes > sum(await this.#evictable(extent))) return false;
      const hasEvicted = (await this.#evictToLowWater(survey)) || (await this.evictOne(survey.reason, extent));
      if (!hasEvicted) return false;
    }
    return true;
  }

  /** Whether anything went. */
  async #evictToLowWater({ lowMissingBytes, reason }: Survey): Promise<boolean> {
    let freed = 0;
    for (const each of await this.#evictable(ALL_BUT_PINS)) {
      if (freed >= lowMissingBytes) break;
      if (await this.#evict(each, reason, ALL_BUT_PINS)) freed += each.sizeBytes;
    }
    return freed > 0;
  }

  /** Whether it went: it may have come to be used, reserved or kept since it was chosen. */
  async #evict(evicted: Evicted, reason: EvictionReason, extent: Extent): Promise<boolean> {
    const { sha256, sizeBytes, what } = evicted;
    const { blobs, uses, onEvicted, log } = this.#deps;
    if (!this.#mayGo(evicted, extent)) return false;
    if (what === 'partial') await blobs.dropPartial(sha256);
    else if (what === 'damaged') await blobs.dropDamaged(sha256);
    else {
      log.info({ sha256, sizeBytes, reason }, 'evicting a package');
      uses.evicted(sha256);
      await blobs.delete(sha256);
    }
    onEvicted(evicted, reason);
    return true;
  }

  /** All that may go, what goes first first. */
  async #evictable(extent: Extent): Promise<Evicted[]> {
    const { blobs, uses, protection } = this.#deps;
    const importance = ({ sha256 }: BlobInfo) => protection.importanceOf(sha256);
    const [damaged, partials] = [await blobs.damaged(), await blobs.partials()];
    const packages = blobs.list().sort((a, b) => importance(a) - importance(b) || uses.compare(a, b));
    const as = (what: Evicted['what']) => {
      return ({ sha256, sizeBytes }: BlobInfo): Evicted => ({ sha256, sizeBytes, what });
    };
    return [
      ...damaged.map(as('damaged')),
      ...partials.sort((a, b) => a.modifiedAtMs - b.modifiedAtMs).map(as('partial')),
      ...packages.map(as('package')),
    ].filter((each) => this.#mayGo(each, extent));
  }

  #mayGo({ sha256, what }: Evicted, { pins }: Extent): boolean {
    if (what === 'damaged') return true;
    if (what === 'partial') return !this.#reserved.has(sha256);
    const { protection } = this.#deps;
    return !this.#serving.has(sha256) && !protection.isLeased(sha256) && (pins || !protection.isPinned(sha256));
  }

  /** How much room is missing. */
  async #survey(): Promise<Survey> {
    const { blobs, limits, otherBytes } = this.#deps;
    const { quotaBytes, minFreeBytes, lowWaterPercent = DEFAULT_LOW_WATER_PERCENT } = limits;
    const left = sum((await this.#evictable(ALL_BUT_PINS)).filter(({ what }) => what !== 'package'));
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
    };
  }
}

function sum(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
