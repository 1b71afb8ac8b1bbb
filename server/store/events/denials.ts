// Denials: who was denied what. Same form as events, but only the latest are kept, so that denied requests cannot fill
// the disk.
import { DENIAL_SUBJECTS, type Denial, type DenialType } from '../../../contract/events.ts';
import type { DenialLimiter, DenialLimits } from '../../../lib/net/denial-limiter.ts';
import type { Actor, Executor, Page } from '../base.ts';
import { listRecords, toRow, type AuditFilter, type AuditRecord } from './records.ts';

export type NewDenial = Denial & { readonly actor: Actor };

/** About 30 MB; at the highest rate that is recorded, half a day of an attack. */
export const DENIALS_KEPT = 100_000;

/** Per minute: more than a person's mistakes, enough to see an attack, and no more than someone can read. */
export const DENIAL_LIMITS: DenialLimits = { perSource: 30, inAll: 120, windowMs: 60_000, sources: 10_000 };

export class DenialRepository {
  readonly #db: Executor;
  readonly #limiter: DenialLimiter;

  /** All transactions share one `limiter`. */
  constructor(db: Executor, limiter: DenialLimiter) {
    this.#db = db;
    this.#limiter = limiter;
  }

  /**
   * Writes a denial unless the `requester` (a key, a node, an address) is over its limit; returns whether it did. The
   * last one within a requester's limit has `data.moreNotRecorded`.
   */
  async record(requester: string, denial: NewDenial): Promise<boolean> {
    const admission = this.#limiter.admit(requester);
    if (admission === 'suppressed') return false;
    await this.append(admission === 'last' ? markedLast(denial) : denial);
    return true;
  }

  /** Writes a denial without a rate limit: the caller has one. Deletes the oldest ones when the table is full. */
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

function markedLast(denial: NewDenial): NewDenial {
  return { ...denial, data: { ...denial.data, moreNotRecorded: true } } as NewDenial;
}
