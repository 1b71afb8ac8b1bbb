// Refusals in the audit events: one event each, but no more of them in a minute than anybody could read. Whoever is
// refused must not be able to fill the disk with it, alone or together with others.
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import type { NewEvent } from './repositories/events.ts';

export interface RefusalShares {
  /** Events in a minute about one who is refused: more than a person's slips, and all that guessing leaves. */
  readonly perMinute: number;
  /** And about everybody together: an attacker may have many addresses. */
  readonly inAllPerMinute: number;
}

const defaultShares: RefusalShares = { perMinute: 30, inAllPerMinute: 120 };
const memory = { windowMs: 60_000, sources: 10_000 };

export class RefusalLog {
  readonly #write: (event: NewEvent) => Promise<void>;
  readonly #limiter: DenialLimiter;

  /** `write` makes one event durable; `clock` tells milliseconds. */
  constructor(
    write: (event: NewEvent) => Promise<void>,
    shares: Partial<RefusalShares> = {},
    clock: { now(): number } = performance,
  ) {
    this.#write = write;
    const { perMinute: perSource, inAllPerMinute: inAll } = { ...defaultShares, ...shares };
    this.#limiter = new DenialLimiter({ perSource, inAll, ...memory }, clock);
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
    const admission = this.#limiter.admit(who);
    if (admission === 'untold') return undefined;
    return admission === 'last' ? { ...event, data: { ...event.data, moreNotRecorded: true } } : event;
  }
}
