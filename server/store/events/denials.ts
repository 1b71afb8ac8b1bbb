// Denials: who was denied what, in a table of the form of the events that keeps the latest only. Nobody fills the disk
// by being denied.
import { DENIAL_SUBJECTS, type Denial, type DenialType } from '../../../contract/events.ts';
import type { DenialLimiter, DenialLimits } from '../../../lib/net/denial-limiter.ts';
import type { Actor, Executor, Page } from '../base.ts';
import { listRecords, toRow, type AuditFilter, type AuditRecord } from './records.ts';

export type NewDenial = Denial & { readonly actor: Actor };

/** Some 30 MB; at the most that is written in a minute, half a day of an attack. */
export const DENIALS_KEPT = 100_000;

/** One row each, but no more in a minute than anybody could read: more than a person's slips, all that guessing leaves. */
export const DENIAL_LIMITS: DenialLimits = { perSource: 30, inAll: 120, windowMs: 60_000, sources: 10_000 };

export class DenialRepository {
  readonly #db: Executor;
  readonly #limiter: DenialLimiter;

  /** `limiter` is one for all transactions. */
  constructor(db: Executor, limiter: DenialLimiter) {
    this.#db = db;
    this.#limiter = limiter;
  }

  /**
   * Writes a denial within the share of the `requester` (a key, a node, an address); answers whether it did. The last
   * one of a requester's minute says so in `data.moreNotRecorded`.
   */
  async record(requester: string, denial: NewDenial): Promise<boolean> {
    const admission = this.#limiter.admit(requester);
    if (admission === 'suppressed') return false;
    await this.append(admission === 'last' ? withNoMore(denial) : denial);
    return true;
  }

  /** Writes a denial whose number the caller bounds. The oldest ones go when the table is full. */
  async append(denial: NewDenial): Promise<void> {
    const { seq } = await this.#db
      .insertInto('denials')
      .values(toRow(denial, DENIAL_SUBJECTS[denial.type]))
      .returning('seq')
      .executeTakeFirstOrThrow();
    await this.#db
      .deleteFrom('denials')
      .where('seq', '<=', seq - DENIALS_KEPT)
      .execute();
  }

  list(filter: AuditFilter): Promise<Page<AuditRecord<DenialType>>> {
    return listRecords(this.#db, 'denials', filter);
  }
}

function withNoMore(denial: NewDenial): NewDenial {
  return { ...denial, data: { ...denial.data, moreNotRecorded: true } } as NewDenial;
}
