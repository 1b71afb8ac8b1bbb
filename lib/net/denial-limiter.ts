// How often a denial is told of: whoever is denied again and again must not fill a log, a disk or a line with it, alone
// or together with others.
import { LRUCache } from 'lru-cache';

export interface DenialLimits {
  /** Denials of one source that are told in a window. */
  readonly perSource: number;
  /** And of all sources together: an attacker may have many addresses. Default: no limit. */
  readonly inAll?: number;
  /** A window begins with a source's first denial. */
  readonly windowMs: number;
  /** Sources that are remembered; the least recent is forgotten first, and starts anew. */
  readonly sources: number;
}

/** `last`: told, and the next ones of this window will not be. */
export type Admission = 'told' | 'last' | 'untold';

/** The key of what all sources share. */
const ALL = '';

export class DenialLimiter {
  readonly #perSource: number;
  readonly #inAll: number;
  /** Denials of the present window by source. */
  readonly #counts: LRUCache<string, number>;

  /** `clock` tells milliseconds. */
  constructor(limits: DenialLimits, clock: { now(): number } = performance) {
    const { perSource, inAll = Infinity, windowMs, sources } = limits;
    this.#perSource = perSource;
    this.#inAll = inAll;
    const window = { ttl: windowMs, noUpdateTTL: true, ttlResolution: 0, perf: clock };
    this.#counts = new LRUCache({ max: sources, ...window });
  }

  /** Counts a denial of `source`, which is not empty; says whether it is to be told. */
  admit(source: string): Admission {
    const [own, all] = [this.#counts.get(source) ?? 0, this.#counts.get(ALL) ?? 0];
    if (own >= this.#perSource || all >= this.#inAll) return 'untold';
    this.#counts.set(source, own + 1);
    this.#counts.set(ALL, all + 1);
    return own + 1 === this.#perSource || all + 1 === this.#inAll ? 'last' : 'told';
  }
}
