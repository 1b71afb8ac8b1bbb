// How many denials are written in a minute: one row each, but no more than anybody could read. Whoever is denied must
// not be able to push out of the table what others were denied, alone or together with others.
import { LRUCache } from 'lru-cache';

export interface DenialShares {
  /** Rows in a minute about one requester: more than a person's slips, and all that guessing leaves. */
  readonly perMinute: number;
  /** And about everybody together: an attacker may have many addresses. */
  readonly inAllPerMinute: number;
}

/** Whether a denial is written, and whether it is the last of this minute. */
export type Share = 'more' | 'last' | 'none';

const DEFAULT_SHARES: DenialShares = { perMinute: 30, inAllPerMinute: 120 };
const WINDOW_MS = 60_000;
const REQUESTERS_REMEMBERED = 10_000;
/** The name of nobody: what all share. */
const EVERYBODY = '';

export class DenialLimiter {
  readonly #shares: DenialShares;
  /** Rows of this minute by requester. */
  readonly #counts: LRUCache<string, number>;

  /** `clock` tells milliseconds. */
  constructor(shares: Partial<DenialShares> = {}, clock: { now(): number } = performance) {
    this.#shares = { ...DEFAULT_SHARES, ...shares };
    const window = { ttl: WINDOW_MS, noUpdateTTL: true, ttlResolution: 0, perf: clock };
    this.#counts = new LRUCache({ max: REQUESTERS_REMEMBERED, ...window });
  }

  /** Takes one row for `requester` (a key, a node, an address), unless it has had its share. */
  take(requester: string): Share {
    const { perMinute, inAllPerMinute } = this.#shares;
    const [own, all] = [this.#counts.get(requester) ?? 0, this.#counts.get(EVERYBODY) ?? 0];
    if (own >= perMinute || all >= inAllPerMinute) return 'none';
    this.#counts.set(requester, own + 1);
    this.#counts.set(EVERYBODY, all + 1);
    return own + 1 === perMinute || all + 1 === inAllPerMinute ? 'last' : 'more';
  }
}
