// Tickets: one per step run, committed before anything is sent. Writes are fenced by the epoch of the ticket's task.
import { sql, type Selectable } from 'kysely';
import type { TicketState } from '../../../contract/tasks.ts';
import type { Schema } from '../schema.ts';
import { found, fromJsonOrNull, mapConstraintErrors, type Executor } from '../base.ts';
import { addStreamEntry } from './task-stream.ts';
import type { Fence } from '../base.ts';
import { TaskRepository } from './tasks.ts';

export interface Ticket {
  readonly id: string;
  readonly task: string;
  readonly step: number;
  /** As named by the task's kind or by the type of its step: script, acquire, stage, health … */
  readonly action: string;
  /** The machine that the step runs for. */
  readonly target: string;
  /** The tentacle that runs it: the target's own, or another one on the target's behalf. */
  readonly executor: string;
  readonly attempt: number;
  readonly state: TicketState;
  readonly exitCode: number | null;
  /** The number of the signal that ended its script. */
  readonly signal: number | null;
  readonly errorCode: string | null;
  readonly errorDetail: string | null;
  readonly errorHop: string | null;
  /** Lines 1..storedLine of its log are in the store. */
  readonly storedLine: number;
  readonly detail: unknown;
  readonly createdAt: number;
  readonly startedAt: number | null;
  /** That of its executor (`Node.journalGeneration`) when it was sent. */
  readonly journalGeneration: number | null;
  readonly endedAt: number | null;
  readonly completedAt: number | null;
}

export type NewTicket = Pick<Ticket, 'id' | 'step' | 'action' | 'target' | 'executor' | 'attempt' | 'createdAt'> & {
  readonly detail?: unknown;
};

export interface TicketPatch {
  readonly state?: TicketState | undefined;
  readonly exitCode?: number | null | undefined;
  readonly signal?: number | null | undefined;
  readonly errorCode?: string | null | undefined;
  readonly errorDetail?: string | null | undefined;
  readonly errorHop?: string | null | undefined;
  readonly detail?: unknown;
  readonly startedAt?: number | undefined;
  readonly journalGeneration?: number | undefined;
  readonly endedAt?: number | undefined;
  readonly completedAt?: number | undefined;
}

export class TicketRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Adds tickets of one task, all pending; STALE_EPOCH unless the fence holds. */
  async insert(fence: Fence, tickets: readonly NewTicket[]): Promise<void> {
    await new TaskRepository(this.#db).assertFence(fence);
    if (tickets.length === 0) return;
    const rows = tickets.map((ticket) => ({
      id: ticket.id,
      task: fence.task,
      step: ticket.step,
      action: ticket.action,
      target: ticket.target,
      executor: ticket.executor,
      attempt: ticket.attempt,
      state: 'pending' as const,
      stored_line: 0,
      detail_json: ticket.detail === undefined ? null : JSON.stringify(ticket.detail),
      created_at: ticket.createdAt,
    }));
    // SQLite takes 32,766 parameters in one statement; a row has eleven.
    for (let from = 0; from < rows.length; from += 1000) {
      const batch = rows.slice(from, from + 1000);
      await mapConstraintErrors('a ticket of this step run', () =>
        this.#db.insertInto('tickets').values(batch).execute(),
      );
    }
  }

  async find(id: string): Promise<Ticket | undefined> {
    const row = await this.#db.selectFrom('tickets').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toTicket(row);
  }

  async get(id: string): Promise<Ticket> {
    return found(await this.find(id), `ticket ${id}`);
  }

  /** By step, then in the order of creation. */
  async byTask(task: string): Promise<Ticket[]> {
    const rows = await this.#db
      .selectFrom('tickets')
      .selectAll()
      .where('task', '=', task)
      .orderBy('step')
      .orderBy('created_at')
      .orderBy('id')
      .execute();
    return rows.map(toTicket);
  }

  /**
   * Tickets that were sent and have ended at or after `since`, but whose tentacle does not know yet that everything is
   * stored: a page of executors by id, with the oldest tickets of each. `cancelled` is true when a script that still
   * runs is to be cancelled: its machine was unreachable when its task was cut short.
   */
  async uncompleted(
    since: number,
    page: { readonly afterExecutor: string; readonly executors: number; readonly perExecutor: number },
  ): Promise<(Ticket & { readonly epoch: number; readonly cancelled: boolean })[]> {
    const numbered = this.#db
      .selectFrom('tickets as t')
      .innerJoin('tasks as k', 'k.id', 't.task')
      .selectAll('t')
      .select([
        'k.epoch',
        'k.cancel_requested_at',
        'k.deadline_at',
        sql<number>`dense_rank() over (order by t.executor)`.as('executor_rank'),
        sql<number>`row_number() over (partition by t.executor order by t.ended_at)`.as('ticket_rank'),
      ])
      .where('t.executor', '>', page.afterExecutor)
      .where('t.ended_at', '>=', since)
      .where('t.started_at', 'is not', null)
      .where('t.completed_at', 'is', null);
    const rows = await this.#db
      .selectFrom(numbered.as('n'))
      .selectAll('n')
      .where('n.executor_rank', '<=', page.executors)
      .where('n.ticket_rank', '<=', page.perExecutor)
      .orderBy('n.executor')
      .orderBy('n.ticket_rank')
      .execute();
    return rows.map((row) => {
      const isLate = row.ended_at !== null && row.deadline_at <= row.ended_at;
      const cancelled = row.cancel_requested_at !== null || isLate || row.error_code === 'LOG_QUOTA';
      return { ...toTicket(row), epoch: row.epoch, cancelled };
    });
  }

  /** Records that the tentacle knows. Needs no fence, because no decision of an owner depends on it. */
  async completed(id: string, now: number): Promise<void> {
    await this.#db.updateTable('tickets').set({ completed_at: now }).where('id', '=', id).execute();
  }

  /**
   * Changes a ticket and returns it; appends a change of state to the task's stream, with `now` as its time.
   * STALE_EPOCH unless the fence holds.
   */
  async updateFenced(fence: Fence, id: string, patch: TicketPatch, now: number = Date.now()): Promise<Ticket> {
    // With a change of state, the stream entry is fenced.
    if (patch.state === undefined) await new TaskRepository(this.#db).assertFence(fence);
    const row = await this.#db
      .updateTable('tickets')
      .set({
        id,
        ...(patch.state === undefined ? {} : { state: patch.state }),
        ...(patch.exitCode === undefined ? {} : { exit_code: patch.exitCode }),
        ...(patch.signal === undefined ? {} : { signal: patch.signal }),
        ...(patch.errorCode === undefined ? {} : { error_code: patch.errorCode }),
        ...(patch.errorDetail === undefined ? {} : { error_detail: patch.errorDetail }),
        ...(patch.errorHop === undefined ? {} : { error_hop: patch.errorHop }),
        ...(patch.detail === undefined ? {} : { detail_json: JSON.stringify(patch.detail) }),
        ...(patch.startedAt === undefined ? {} : { started_at: patch.startedAt }),
        ...(patch.journalGeneration === undefined ? {} : { journal_generation: patch.journalGeneration }),
        ...(patch.endedAt === undefined ? {} : { ended_at: patch.endedAt }),
        ...(patch.completedAt === undefined ? {} : { completed_at: patch.completedAt }),
      })
      .where('id', '=', id)
      .where('task', '=', fence.task)
      .returningAll()
      .executeTakeFirst();
    const ticket = toTicket(found(row, `ticket ${id} of task ${fence.task}`));
    if (patch.state !== undefined) await this.#appendState(fence, ticket, now);
    return ticket;
  }

  async #appendState(fence: Fence, ticket: Ticket, now: number): Promise<void> {
    const { step, action, exitCode, signal, errorDetail, errorHop } = ticket;
    const entry = {
      kind: 'state',
      at: now,
      text: ticket.state,
      machine: ticket.target,
      ticket: ticket.id,
      ...(ticket.errorCode === null ? {} : { code: ticket.errorCode, level: 'error' as const }),
      data: { step, action, exitCode, signal, errorDetail, errorHop },
    } as const;
    await addStreamEntry(this.#db, ticket.task, entry, fence);
  }
}

function toTicket(row: Selectable<Schema['tickets']>): Ticket {
  return {
    id: row.id,
    task: row.task,
    step: row.step,
    action: row.action,
    target: row.target,
    executor: row.executor,
    attempt: row.attempt,
    state: row.state,
    exitCode: row.exit_code,
    signal: row.signal,
    errorCode: row.error_code,
    errorDetail: row.error_detail,
    errorHop: row.error_hop,
    storedLine: row.stored_line,
    detail: fromJsonOrNull(row.detail_json),
    createdAt: row.created_at,
    startedAt: row.started_at,
    journalGeneration: row.journal_generation,
    endedAt: row.ended_at,
    completedAt: row.completed_at,
  };
}
