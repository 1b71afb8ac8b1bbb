// Limits how often denials are reported: repeated denials, of one source or of many, must not fill a log, disk or line.
// Its clock is monotonic.
import { LRUCache } from 'lru-cache';

export interface DenialLimits {
  /** Reported denials of one source in a window. */
  readonly perSource: number;
  /** Reported denials of all sources in a window: an attacker may have many addresses. Default: no limit. */
  readonly inAll?: number;
  /** A window begins with a source's first denial. */
  readonly windowMs: number;
  /** Sources kept in memory; the least recent is dropped first, and starts again. */
  readonly sources: number;
}

/** `last`: to be reported, and the last one of this window. */
export type Admission = 'reported' | 'last' | 'suppressed';

/** The key of the count of all sources. */
const ALL = '';

export class DenialLimiter {
  readonly #perSource: number;
  readonly #inAll: number;
  /** Reported denials of the present window, by source. */
  readonly #counts: LRUCache<string, number>;

  /** `clock` returns milliseconds. */
  constructor(limits: DenialLimits, clock: { now(): number } = performance) {
    const { perSource, inAll = Infinity, windowMs, sources } = limits;
    this.#perSource = perSource;
    this.#inAll = inAll;
    const window = { ttl: windowMs, noUpdateTTL: true, ttlResolution: 0, perf: clock };
    // One more for the count of all.
    this.#counts = new LRUCache({ max: sources + 1, ...window });
  }

  /** Counts a denial of `source` (not empty); returns whether to report it. */
  admit(source: string): Admission {
    const [own, all] = [this.#counts.get(source) ?? 0, this.#counts.get(ALL) ?? 0];
    if (own >= this.#perSource || all >= this.#inAll) return 'suppressed';
    this.#counts.set(source, own + 1);
    this.#counts.set(ALL, all + 1);
    return own + 1 === this.#perSource || all + 1 === this.#inAll ? 'last' : 'reported';
  }
}
