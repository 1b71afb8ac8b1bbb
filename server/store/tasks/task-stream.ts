// A task's stream: log lines, messages and changes of state under one sequence per task that rises by one, so that a
// reader continues after the last entry it saw and misses nothing. The counter is `tasks.stream_seq`; an entry gets its
// number in its own transaction.
import { IsthmusError } from '../../../contract/errors.ts';
import type { LineEnding, MessageData, MessageLevel } from '../../../contract/task-stream.ts';
import { assertInTransaction, fromJsonOrNull, type Executor, type Fence } from '../base.ts';

export interface NewStreamEntry {
  readonly kind: 'message' | 'state';
  readonly at: number;
  readonly text: string;
  readonly machine?: string | undefined;
  readonly ticket?: string | undefined;
  readonly level?: MessageLevel | undefined;
  readonly code?: string | undefined;
  readonly data?: object | undefined;
}

export type StreamEntry =
  | {
      readonly kind: 'log';
      readonly seq: number;
      readonly at: number;
      readonly ticket: string;
      /** The ticket's target. */
      readonly machine: string;
      readonly step: number;
      readonly action: string;
      readonly line: number;
      readonly stream: string;
      readonly text: string;
      readonly ending: LineEnding;
    }
  | (EventFields & { readonly kind: 'message'; readonly data: MessageData['data'] })
  | (EventFields & { readonly kind: 'state'; readonly data: unknown });

interface EventFields {
  readonly seq: number;
  readonly at: number;
  readonly machine: string | null;
  readonly ticket: string | null;
  readonly level: MessageLevel;
  readonly code: string | null;
  readonly text: string;
}

const grown = new WeakMap<Executor, Set<string>>();

/** The tasks whose streams have grown in this transaction. */
export function grownStreams(db: Executor): ReadonlySet<string> {
  return grown.get(db) ?? new Set();
}

/** The last message about a machine. */
export interface MachineMessage {
  readonly at: number;
  /** Null when it is not about one step. */
  readonly ticket: string | null;
  readonly code: string | null;
  readonly text: string;
  readonly data: unknown;
}

/** Reserves `count` sequence numbers; returns the first. With a fence, STALE_EPOCH unless it holds. */
export async function reserveSequence(db: Executor, task: string, count: number, fence?: Fence): Promise<number> {
  assertInTransaction(db);
  let query = db
    .updateTable('tasks')
    .set((eb) => ({ stream_seq: eb('stream_seq', '+', count) }))
    .where('id', '=', task);
  if (fence !== undefined) query = query.where('epoch', '=', fence.epoch).where('ended_at', 'is', null);
  const row = await query.returning('stream_seq').executeTakeFirst();
  if (row !== undefined) {
    grown.set(db, (grown.get(db) ?? new Set()).add(task));
    return row.stream_seq - count + 1;
  }
  if (fence === undefined) throw new IsthmusError('NOT_FOUND', `there is no task ${task}`);
  throw new IsthmusError('STALE_EPOCH', `task ${task} is no longer owned with epoch ${fence.epoch}`);
}

/** Adds one message or state. Call it in the transaction of the change it reports. */
export async function addStreamEntry(db: Executor, task: string, entry: NewStreamEntry, fence?: Fence): Promise<void> {
  const seq = await reserveSequence(db, task, 1, fence);
  await db
    .insertInto('task_events')
    .values({
      task,
      seq,
      at: entry.at,
      kind: entry.kind,
      machine: entry.machine ?? null,
      ticket: entry.ticket ?? null,
      level: entry.level ?? 'info',
      code: entry.code ?? null,
      text: entry.text,
      data_json: entry.data === undefined ? null : JSON.stringify(entry.data),
    })
    .execute();
}

export class TaskEventRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Adds a message to a task's stream. With an epoch, STALE_EPOCH unless it is the task's present one. */
  async append(task: string, message: Omit<NewStreamEntry, 'kind'>, epoch?: number): Promise<void> {
    const fence = epoch === undefined ? undefined : { task, epoch };
    await addStreamEntry(this.#db, task, { ...message, kind: 'message' }, fence);
  }

  /** The entries after number `after`, in order, at most `limit`. */
  async stream(task: string, after: number, limit: number): Promise<StreamEntry[]> {
    const [lines, events] = await Promise.all([this.#lines(task, after, limit), this.#events(task, after, limit)]);
    return [...lines, ...events].sort((a, b) => a.seq - b.seq).slice(0, limit);
  }

  /** The last message about each machine. */
  async lastByMachine(task: string): Promise<Map<string, MachineMessage>> {
    const rows = await this.#db
      .selectFrom('task_events')
      .select(['machine', 'at', 'ticket', 'code', 'text', 'data_json'])
      .where('task', '=', task)
      .where('seq', 'in', (of) =>
        of
          .selectFrom('task_events')
          .select(({ fn }) => fn.max('seq').as('seq'))
          .where('task', '=', task)
          .where('kind', '=', 'message')
          .where('machine', 'is not', null)
          .groupBy('machine'),
      )
      .execute();
    return new Map(
      rows.map(({ machine, data_json, ...message }) => [
        machine ?? '',
        { ...message, data: fromJsonOrNull(data_json) },
      ]),
    );
  }

  async #lines(task: string, after: number, limit: number): Promise<StreamEntry[]> {
    const rows = await this.#db
      .selectFrom('log_lines as l')
      .innerJoin('tickets as t', 't.id', 'l.ticket')
      .select([
        'l.seq',
        'l.at',
        'l.ticket',
        't.target as machine',
        't.step',
        't.action',
        'l.line',
        'l.stream',
        'l.text',
        'l.ending',
      ])
      .where('l.task', '=', task)
      .where('l.seq', '>', after)
      .orderBy('l.seq')
      .limit(limit)
      .execute();
    return rows.map((row) => ({ kind: 'log' as const, ...row }));
  }

  async #events(task: string, after: number, limit: number): Promise<StreamEntry[]> {
    const rows = await this.#db
      .selectFrom('task_events')
      .selectAll()
      .where('task', '=', task)
      .where('seq', '>', after)
      .orderBy('seq')
      .limit(limit)
      .execute();
    return rows.map(({ data_json, task: _task, ...row }) => {
      const data: unknown = data_json === null ? null : JSON.parse(data_json);
      return { ...row, data } as StreamEntry;
    });
  }
}
