// Refusals in the audit events: one event each, but no more of them in a minute than anybody could read. Whoever is
// refused must not be able to fill the disk with it, alone or together with others.
import { LRUCache } from 'lru-cache';
import type { NewEvent } from './repositories/events.ts';

export interface RefusalShares {
  /** Events in a minute about one who is refused: more than a person's slips, and all that guessing leaves. */
  readonly perMinute: number;
  /** And about everybody together: an attacker may have many addresses. */
  readonly inAllPerMinute: number;
}

const defaultShares: RefusalShares = { perMinute: 30, inAllPerMinute: 120 };
const windowMs = 60_000;
const whoRemembered = 10_000;
/** The name of nobody: what all share. */
const everybody = '';

export class RefusalLog {
  readonly #shares: RefusalShares;
  readonly #write: (event: NewEvent) => Promise<void>;
  /** Events of this minute by who was refused. */
  readonly #counts: LRUCache<string, number>;

  /** `write` makes one event durable; `clock` tells milliseconds. */
  constructor(
    write: (event: NewEvent) => Promise<void>,
    shares: Partial<RefusalShares> = {},
    clock: { now(): number } = performance,
  ) {
    this.#write = write;
    this.#shares = { ...defaultShares, ...shares };
    const window = { ttl: windowMs, noUpdateTTL: true, ttlResolution: 0, perf: clock };
    this.#counts = new LRUCache({ max: whoRemembered, ...window });
  }

  /**
   * Records that `who` (a key, a node, an address) was refused; answers whether it did. The last event of somebody's
   * minute says so in `data.moreNotRecorded`.
   */
  async record(who: string, event: NewEvent): Promise<boolean> {
    const admitted = this.admit(who, event);
    if (admitted === undefined) return false;
    await this.#write(admitted);
    return true;
  }

  /** The event as it is to be written in a transaction of the caller's; undefined when `who` has had its share. */
  admit(who: string, event: NewEvent): NewEvent | undefined {
    const { perMinute, inAllPerMinute } = this.#shares;
    const [own, all] = [this.#counts.get(who) ?? 0, this.#counts.get(everybody) ?? 0];
    if (own >= perMinute || all >= inAllPerMinute) return undefined;
    this.#counts.set(who, own + 1);
    this.#counts.set(everybody, all + 1);
    const isLast = own + 1 === perMinute || all + 1 === inAllPerMinute;
    return isLast ? { ...event, data: { ...event.data, moreNotRecorded: true } } : event;
  }
}
