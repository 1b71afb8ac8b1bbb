// How much each package of a cache is used, to choose what is evicted: least frequently used, with dynamic aging
// (LFU-DA). The count of a package is raised by the age of the cache at its last use, and the age is the value of what was
// evicted last: so a package that was popular once gives way to what is used now, and one large rollout of many new
// packages does not evict what is used all the time.
import type { StoredBlob } from '../lib/blobs/blob-store.ts';

interface Use {
  readonly count: number;
  readonly value: number;
}

/** As it is kept over restarts. */
export interface SavedUses {
  readonly age: number;
  readonly uses: Readonly<Record<string, Use>>;
}

export class Uses {
  #age: number;
  readonly #uses: Map<string, Use>;

  constructor({ age, uses }: SavedUses = { age: 0, uses: {} }) {
    this.#age = age;
    this.#uses = new Map(Object.entries(uses));
  }

  used(sha256: string): void {
    const count = (this.#uses.get(sha256)?.count ?? 0) + 1;
    this.#uses.set(sha256, { count, value: this.#age + count });
  }

  count(sha256: string): number {
    return this.#uses.get(sha256)?.count ?? 0;
  }

  evicted(sha256: string): void {
    this.#age = Math.max(this.#age, this.#uses.get(sha256)?.value ?? 0);
    this.#uses.delete(sha256);
  }

  /** Orders two packages, the one to evict first first; of equals, the one that was not used for longer. */
  compare(a: StoredBlob, b: StoredBlob): number {
    const value = ({ sha256 }: StoredBlob) => this.#uses.get(sha256)?.value ?? 0;
    return value(a) - value(b) || a.usedAtMs - b.usedAtMs;
  }

  /** What to keep of the packages that `has` knows. */
  saved(has: (sha256: string) => boolean): SavedUses {
    return { age: this.#age, uses: Object.fromEntries([...this.#uses].filter(([sha256]) => has(sha256))) };
  }
}
