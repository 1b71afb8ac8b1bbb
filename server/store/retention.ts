// Forgetting denials, passing events, and what ended tasks left: log lines, notes, tickets, and what they were to do.
// The task itself stays, as does everything of what is deployed now. Each step is small, because a statement holds up
// everything else that the process does.
import { sql } from 'kysely';
import type { EventType } from '../../contract/events.ts';
import { assertInTransaction, type Executor } from './base.ts';

/** Where a walk over the tasks stands. */
export interface RetentionCursor {
  readonly createdAt: number;
  readonly id: string;
}

/** Tasks looked at in one step of the walk. */
const TASKS_PER_PAGE = 200;
/** A payload that was forgotten has less: what is left of it is the task that it tried again. */
const FORGOTTEN_PAYLOAD_BYTES = 100;
/** What nobody changed on purpose: a machine that goes up and down. */
const PASSING: ReadonlySet<string> = new Set<EventType>(['machine.health-changed']);

export class RetentionRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /**
   * The next tasks that ended before `before` and have something left to forget, oldest first; `next` is where to go
   * on, absent at the end. A deployment counts as current from the last one of its project and environment that
   * succeeded.
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
    const seen = await page.execute();
    const last = seen.at(-1);
    if (last === undefined) return { tasks: [] };
    const ids = seen.map(({ id }) => id);
    const rows = await this.#db
      .selectFrom('tasks as k')
      .select('k.id')
      .where('k.id', 'in', ids)
      .where('k.ended_at', '<', before)
      .where(
        sql<boolean>`(exists (select 1 from tickets t where t.task = k.id)
          or exists (select 1 from task_events n where n.task = k.id)
          or octet_length(k.payload_json) > ${FORGOTTEN_PAYLOAD_BYTES})`,
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
   * Forgets at most `limit` rows of each kind of one task; answers whether nothing is left. Call it in a transaction.
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
   * Forgets the changes of health among the `limit` events after number `after`, as far as they are from before
   * `before` and every subscription has read them; answers the number to go on after, undefined at the end.
   */
  async purgePassingEvents(before: number, after: number, limit: number): Promise<number | undefined> {
    const seen = await this.#db
      .selectFrom('events')
      .select(['seq', 'at', 'type'])
      .where('seq', '>', after)
      .where('seq', '<=', await this.#readByAll())
      .orderBy('seq')
      .limit(limit)
      .execute();
    const old = seen.filter(({ at }) => at < before);
    const passing = old.filter(({ type }) => PASSING.has(type)).map(({ seq }) => seq);
    if (passing.length > 0) await this.#db.deleteFrom('events').where('seq', 'in', passing).execute();
    return old.length < limit ? undefined : old.at(-1)?.seq;
  }

  /** Forgets at most `limit` denials from before `before`; answers whether there may be more. */
  async forgetDenials(before: number, limit: number): Promise<boolean> {
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

  /** Answers whether there may be more. */
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
