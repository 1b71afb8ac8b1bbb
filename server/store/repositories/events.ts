// Audit events: who did what to what, written in the transaction of the change itself (I11).
import type { Executor, Page, Actor } from './base.ts';
import { fromJson } from './base.ts';

export interface NewEvent {
  readonly actor: Actor;
  /** `machine.updated`, `token.created`, `enrol.refused`: the subject's kind and what happened, in the past tense. */
  readonly type: string;
  readonly subjectKind: string;
  readonly subject: string;
  /** What changed, never a secret. */
  readonly data?: Readonly<Record<string, unknown>>;
  readonly at?: number;
}

export interface AuditEvent {
  readonly seq: number;
  readonly at: number;
  readonly actor: Actor;
  readonly type: string;
  readonly subjectKind: string;
  readonly subject: string;
  readonly data: Readonly<Record<string, unknown>>;
}

interface EventFilter {
  readonly after?: number | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly limit: number;
}

export class EventRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  async append(event: NewEvent): Promise<void> {
    await this.#db
      .insertInto('events')
      .values({
        at: event.at ?? Date.now(),
        actor: event.actor,
        type: event.type,
        subject_kind: event.subjectKind,
        subject: event.subject,
        data_json: JSON.stringify(event.data ?? {}),
      })
      .execute();
  }

  /** Oldest first, after number `after`. */
  async list({ after = 0, type, subject, limit }: EventFilter): Promise<Page<AuditEvent>> {
    let query = this.#db.selectFrom('events').selectAll().where('seq', '>', after).orderBy('seq');
    if (type !== undefined) query = query.where('type', '=', type);
    if (subject !== undefined) query = query.where('subject', '=', subject);
    const rows = await query.limit(limit + 1).execute();
    const items = rows.slice(0, limit).map(({ subject_kind, data_json, ...row }) => ({
      ...row,
      subjectKind: subject_kind,
      data: fromJson<Record<string, unknown>>(data_json),
    }));
    const last = items.at(-1);
    return rows.length > limit && last !== undefined ? { items, next: String(last.seq) } : { items };
  }
}
