// Domain events: who did what to what. Appended in the transaction of the change itself (I11), read in commit order.
import { EVENT_SUBJECTS, type DomainEvent, type EventType } from '../../../contract/events.ts';
import { assertInTransaction, type Actor, type Executor, type Page } from '../base.ts';
import { listRecords, toRecord, toRow, type AuditFilter, type AuditRecord } from './records.ts';

export type NewEvent = DomainEvent & { readonly actor: Actor; readonly at?: number };

/** An event as it was stored, with the data of its type. */
export type StoredEvent<Type extends EventType = EventType> = DomainEvent<Type> & Omit<AuditRecord<Type>, 'data'>;

/** The next events of the requested types. */
export interface UnreadEvents<Type extends EventType> {
  /** In commit order. */
  readonly events: readonly StoredEvent<Type>[];
  /** Up to this number there are no others of these types. */
  readonly upTo: number;
}

const appended = new WeakMap<Executor, Set<EventType>>();

/** The types of the events that this transaction has appended; undefined when there are none. */
export function appendedTypes(db: Executor): ReadonlySet<EventType> | undefined {
  return appended.get(db);
}

export class EventRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Call it in the transaction of the change. */
  async append(event: NewEvent): Promise<void> {
    assertInTransaction(this.#db);
    await this.#db.insertInto('events').values(toRow(event, EVENT_SUBJECTS[event.type])).execute();
    const types = appended.get(this.#db) ?? new Set();
    appended.set(this.#db, types.add(event.type));
  }

  list(filter: AuditFilter): Promise<Page<AuditRecord<EventType>>> {
    return listRecords(this.#db, 'events', filter);
  }

  /** The number of the newest event; 0 when there is none. */
  async newest(): Promise<number> {
    const row = await this.#db
      .selectFrom('events')
      .select(({ fn }) => fn.max('seq').as('seq'))
      .executeTakeFirst();
    return row?.seq ?? 0;
  }

  /**
   * At most `limit` events of these types after position `after`. SQLite has one writer, so numbers are assigned in
   * commit order, and no event appears later at a number that was already read past.
   */
  async unread<Type extends EventType>(
    after: number,
    types: readonly Type[],
    limit: number,
  ): Promise<UnreadEvents<Type>> {
    const newest = await this.newest();
    const rows = await this.#db
      .selectFrom('events')
      .selectAll()
      .where('type', 'in', types)
      .where('seq', '>', after)
      .where('seq', '<=', newest)
      .orderBy('seq')
      .limit(limit)
      .execute();
    const events = rows.map((row) => toRecord<Type>(row) as StoredEvent<Type>);
    const last = events.at(-1);
    return { events, upTo: last !== undefined && events.length === limit ? last.seq : Math.max(after, newest) };
  }

  /** How many events of these types are after position `after`, and when the first of them was appended. */
  async countUnread(
    after: number,
    types: readonly EventType[],
  ): Promise<{ readonly count: number; readonly oldestAt: number | null }> {
    const row = await this.#db
      .selectFrom('events')
      .select(({ fn }) => [fn.countAll<number>().as('count'), fn.min('at').as('oldestAt')])
      .where('type', 'in', types)
      .where('seq', '>', after)
      .executeTakeFirstOrThrow();
    return { count: Number(row.count), oldestAt: row.oldestAt };
  }
}
