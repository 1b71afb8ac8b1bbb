// Purges old denials, transient events, and what ended tasks left: log lines, messages, tickets and payloads. The task
// rows stay, as does everything of the current deployments. Each step is small, because a statement blocks the whole
// process.
import { sql } from 'kysely';
import type { EventType } from '../../contract/events.ts';
import { assertInTransaction, type Executor } from './base.ts';

/** The position of a walk over the tasks. */
export interface RetentionCursor {
  readonly createdAt: number;
  readonly id: string;
}

/** Tasks read in one step of the walk. */
const TASKS_PER_PAGE = 200;
/** A purged payload is smaller: only the id of the retried task is left of it. */
const PURGED_PAYLOAD_BYTES = 100;
/** Events that no one causes on purpose, such as a machine that goes up and down. */
const TRANSIENT: ReadonlySet<string> = new Set<EventType>(['machine.health-changed']);

export class RetentionRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /**
   * The next tasks that ended before `before` and have something left to purge, oldest first; `next` is where to
   * continue, absent at the end. Current deployments are left out: for each project and environment the last one that
   * succeeded, and all after it.
   */
  async candidates(
    before: number,
    after: RetentionCursor | undefined,
  ): Promise<{ readonly tasks: string[]; readonly next?: RetentionCursor }> {
    let page = this.#db
      .selectFrom('tasks')
      .select(['id', 'created_at'])
      .where('created_at', '<', before)
      .orderBy('created_at')
      .orderBy('id')
      .limit(TASKS_PER_PAGE);
    if (after !== undefined) {
      page = page.where(sql<boolean>`(created_at, id) > (${after.createdAt}, ${after.id})`);
    }
    const read = await page.execute();
    const last = read.at(-1);
    if (last === undefined) return { tasks: [] };
    const ids = read.map(({ id }) => id);
    const rows = await this.#db
      .selectFrom('tasks as k')
      .select('k.id')
      .where('k.id', 'in', ids)
      .where('k.ended_at', '<', before)
      .where(
        sql<boolean>`(exists (select 1 from tickets t where t.task = k.id)
          or exists (select 1 from task_events n where n.task = k.id)
          or octet_length(k.payload_json) > ${PURGED_PAYLOAD_BYTES})`,
      )
      .where(
        sql<boolean>`not exists (select 1 from deployments d where d.task = k.id and not exists (
          select 1 from deployments later join tasks done on done.id = later.task
          where later.project = d.project and later.environment = d.environment and done.state = 'succeeded'
            and (later.created_at, later.id) > (d.created_at, d.id)))`,
      )
      .orderBy('k.created_at')
      .orderBy('k.id')
      .execute();
    return { tasks: rows.map(({ id }) => id), next: { createdAt: last.created_at, id: last.id } };
  }

  /**
   * Deletes at most `limit` rows of each kind of one task; returns whether nothing is left. Call it in a transaction.
   */
  async purge(task: string, limit: number): Promise<boolean> {
    assertInTransaction(this.#db);
    if (await this.#purgeEntries('log_lines', task, limit)) return false;
    if (await this.#purgeEntries('task_events', task, limit)) return false;
    const tickets = await this.#db.selectFrom('tickets').select('id').where('task', '=', task).limit(limit).execute();
    if (tickets.length > 0) {
      const ids = tickets.map(({ id }) => id);
      await this.#db.deleteFrom('tickets').where('id', 'in', ids).execute();
    }
    if (tickets.length === limit) return false;
    await this.#purgePayload(task);
    return true;
  }

  /**
   * Deletes the transient ones among the `limit` events after number `after`, if they are older than `before` and every
   * subscription has read them. Returns the number after which to continue, undefined at the end.
   */
  async purgeTransientEvents(before: number, after: number, limit: number): Promise<number | undefined> {
    const read = await this.#db
      .selectFrom('events')
      .select(['seq', 'at', 'type'])
      .where('seq', '>', after)
      .where('seq', '<=', await this.#readByAll())
      .orderBy('seq')
      .limit(limit)
      .execute();
    const old = read.filter(({ at }) => at < before);
    const transient = old.filter(({ type }) => TRANSIENT.has(type)).map(({ seq }) => seq);
    if (transient.length > 0) await this.#db.deleteFrom('events').where('seq', 'in', transient).execute();
    return old.length < limit ? undefined : old.at(-1)?.seq;
  }

  /** Deletes at most `limit` denials older than `before`; returns whether there may be more. */
  async purgeDenials(before: number, limit: number): Promise<boolean> {
    const oldest = await this.#db.selectFrom('denials').select(['seq', 'at']).orderBy('seq').limit(limit).execute();
    const last = oldest.filter(({ at }) => at < before).at(-1);
    if (last === undefined) return false;
    await this.#db.deleteFrom('denials').where('seq', '<=', last.seq).execute();
    return last.seq === oldest.at(-1)?.seq && oldest.length === limit;
  }

  /** The number up to which every subscription has read the events. */
  async #readByAll(): Promise<number> {
    const row = await this.#db
      .selectFrom('event_subscriptions')
      .select(({ fn }) => fn.min('position').as('position'))
      .executeTakeFirst();
    return row?.position ?? Number.MAX_SAFE_INTEGER;
  }

  async #purgePayload(task: string): Promise<void> {
    const rest = sql<string>`case when json_type(payload_json, '$.retryOf') is null then '{}'
      else json_object('retryOf', json_extract(payload_json, '$.retryOf')) end`;
    await this.#db.updateTable('tasks').set({ payload_json: rest }).where('id', '=', task).execute();
  }

  /** Returns whether there may be more. */
  async #purgeEntries(table: 'log_lines' | 'task_events', task: string, limit: number): Promise<boolean> {
    const rows = await this.#db
      .selectFrom(table)
      .select('seq')
      .where('task', '=', task)
      .orderBy('seq')
      .limit(limit)
      .execute();
    const last = rows.at(-1);
    if (last === undefined) return false;
    await this.#db.deleteFrom(table).where('task', '=', task).where('seq', '<=', last.seq).execute();
    return rows.length === limit;
  }
}
