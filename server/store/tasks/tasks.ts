// Tasks: inserted once, claimed under a lease with a rising epoch, ended once. The epoch fences every write of an
// owner, so an owner that has lost its lease changes nothing (I6), and an end never changes (I2).
import { sql, type Selectable, type UpdateObject } from 'kysely';
import { IsthmusError, type ErrorCode } from '../../../contract/errors.ts';
import type { EndState, TaskState } from '../../../contract/tasks.ts';
import type { Schema } from '../schema.ts';
import { decodeCursor, found, toPage, type Executor, type Fence, type Page, type PageRequest } from '../base.ts';
import { isHeldUp, nextOfKey, olderOpenTasks } from './concurrency-key.ts';
import { addStreamEntry } from './task-stream.ts';

export interface Task {
  readonly id: string;
  /** The name of its registered kind. */
  readonly kind: string;
  readonly title: string;
  readonly state: TaskState;
  /** The request, as its kind defines it. */
  readonly payload: unknown;
  /** Tasks with the same key run one at a time, in the order in which they were added. Null: it waits for none. */
  readonly concurrencyKey: string | null;
  readonly project: string | null;
  readonly environment: string | null;
  readonly deadlineAt: number;
  /** The time that was requested for it. */
  readonly deadlineS: number;
  readonly leaseOwner: string | null;
  readonly leaseUntil: number | null;
  readonly epoch: number;
  readonly streamSeq: number;
  readonly cancelRequestedAt: number | null;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  readonly errorCode: string | null;
  readonly errorDetail: string | null;
}

export type NewTask = Pick<
  Task,
  | 'id'
  | 'kind'
  | 'title'
  | 'payload'
  | 'concurrencyKey'
  | 'project'
  | 'environment'
  | 'deadlineS'
  | 'createdBy'
  | 'createdAt'
>;

interface Lease {
  readonly owner: string;
  readonly leaseMs: number;
  readonly now: number;
}

interface Claim extends Lease {
  /** Only tasks of these kinds: each lane claims separately. */
  readonly kinds?: readonly string[] | undefined;
  /** Projects that have their share already; '' stands for tasks without a project. */
  readonly exceptProjects?: readonly string[] | undefined;
}

export interface TaskEnding {
  readonly state: EndState;
  readonly now: number;
  readonly errorCode?: ErrorCode | undefined;
  readonly errorDetail?: string | undefined;
}

export interface TaskFilter {
  readonly state?: TaskState | undefined;
  readonly kind?: string | undefined;
  readonly project?: string | undefined;
  readonly environment?: string | undefined;
}

export class TaskRepository {
  readonly #db: Executor;

  constructor(db: Executor) {
    this.#db = db;
  }

  /** Adds a queued task. */
  async insert(task: NewTask): Promise<void> {
    await this.#db
      .insertInto('tasks')
      .values({
        id: task.id,
        kind: task.kind,
        title: task.title,
        state: 'queued',
        payload_json: JSON.stringify(task.payload),
        concurrency_key: task.concurrencyKey,
        concurrency_seq: task.concurrencyKey === null ? null : nextOfKey(task.concurrencyKey),
        project: task.project,
        environment: task.environment,
        deadline_at: task.createdAt + task.deadlineS * 1000,
        deadline_s: task.deadlineS,
        epoch: 0,
        stream_seq: 0,
        created_by: task.createdBy,
        created_at: task.createdAt,
      })
      .execute();
    await addStreamEntry(this.#db, task.id, { kind: 'state', at: task.createdAt, text: 'queued' });
  }

  async find(id: string): Promise<Task | undefined> {
    const row = await this.#db.selectFrom('tasks').selectAll().where('id', '=', id).executeTakeFirst();
    return row === undefined ? undefined : toTask(row);
  }

  async get(id: string): Promise<Task> {
    return found(await this.find(id), `task ${id}`, 'task');
  }

  /** Newest first. */
  async list(filter: TaskFilter, page: PageRequest): Promise<Page<Task>> {
    let query = this.#db.selectFrom('tasks').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc');
    if (filter.state !== undefined) query = query.where('state', '=', filter.state);
    if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
    if (filter.project !== undefined) query = query.where('project', '=', filter.project);
    if (filter.environment !== undefined) query = query.where('environment', '=', filter.environment);
    if (page.cursor !== undefined) {
      const [at, id] = decodeCursor(page.cursor, ['number', 'string']) as [number, string];
      query = query.where((eb) => eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(at, id)));
    }
    const rows = await query.limit(page.limit + 1).execute();
    return toPage(rows, page.limit, (row) => [row.created_at, row.id], toTask);
  }

  /**
   * Claims the oldest open task without a valid lease, and gives it the next epoch; undefined when there is none.
   * A task with a concurrency key waits until every task that was added before it with that key has ended.
   */
  async claimNext({ owner, leaseMs, now, kinds, exceptProjects = [] }: Claim): Promise<Task | undefined> {
    const claimed = await this.#db
      .updateTable('tasks')
      .set((eb) => ({ lease_owner: owner, lease_until: now + leaseMs, epoch: eb('epoch', '+', 1) }))
      .where('id', '=', (eb) =>
        eb
          .selectFrom('tasks as candidate')
          .select('candidate.id')
          .where('candidate.ended_at', 'is', null)
          .where((or) => or('candidate.lease_until', 'is', null).or('candidate.lease_until', '<=', now))
          .$if(kinds !== undefined, (query) => query.where('candidate.kind', 'in', [...(kinds ?? [])]))
          .$if(exceptProjects.length > 0, (query) =>
            query.where((of) => of(of.fn.coalesce('candidate.project', of.val('')), 'not in', [...exceptProjects])),
          )
          .where((eb1) => eb1.not(isHeldUp('candidate', now)))
          .orderBy('candidate.created_at')
          .orderBy('candidate.id')
          .limit(1),
      )
      .returningAll()
      .executeTakeFirst();
    return claimed === undefined ? undefined : toTask(claimed);
  }

  /** The open tasks of the same concurrency key that must end before this one may start, oldest first. */
  async blockers({ id, concurrencyKey, endedAt }: Pick<Task, 'id' | 'concurrencyKey' | 'endedAt'>): Promise<string[]> {
    if (concurrencyKey === null || endedAt !== null) return [];
    return olderOpenTasks(this.#db, id);
  }

  /** An open task that retries this one, directly or through other retries; undefined when there is none. */
  async openRetry(id: string): Promise<string | undefined> {
    const row = await this.#db
      .withRecursive('retries(open, of)', (db) =>
        db
          .selectFrom('tasks')
          .select(['id as open', retryOf('tasks.payload_json').as('of')])
          .where('ended_at', 'is', null)
          .unionAll(
            db
              .selectFrom('retries')
              .innerJoin('tasks as earlier', 'earlier.id', 'retries.of')
              .select(['retries.open', retryOf('earlier.payload_json').as('of')]),
          ),
      )
      .selectFrom('retries')
      .select('open')
      .where('of', '=', id)
      .limit(1)
      .executeTakeFirst();
    return row?.open;
  }

  /** Extends the lease; STALE_EPOCH when another owner has claimed the task since. */
  async renewLease(fence: Fence, { leaseMs, now }: Omit<Lease, 'owner'>): Promise<void> {
    await this.#fenced(fence, { lease_until: now + leaseMs });
  }

  /** Gives the lease back: any node may claim the task at once. */
  async freeLease(fence: Fence): Promise<void> {
    await this.#fenced(fence, { lease_owner: null, lease_until: null });
  }

  /** Frees the leases that an earlier process of this node left; the next claim's epoch fences that process off. */
  async freeLeases(owner: string): Promise<void> {
    await this.#db
      .updateTable('tasks')
      .set({ lease_owner: null, lease_until: null })
      .where('lease_owner', '=', owner)
      .where('ended_at', 'is', null)
      .execute();
  }

  /** Moves the deadlines and leases of open tasks, so that what was left of them stays after the clock was set. */
  async moveWithClock(byMs: number): Promise<void> {
    await this.#db
      .updateTable('tasks')
      .set((eb) => ({ deadline_at: eb('deadline_at', '+', byMs), lease_until: eb('lease_until', '+', byMs) }))
      .where('ended_at', 'is', null)
      .execute();
  }

  /** Records the start: queued → running; a task that is being cancelled keeps its state. No effect when it runs. */
  async markRunning(fence: Fence, now: number): Promise<void> {
    const { numUpdatedRows } = await this.#db
      .updateTable('tasks')
      .set((eb) => ({ state: 'running', started_at: eb.fn.coalesce('started_at', eb.val(now)) }))
      .where('id', '=', fence.task)
      .where('epoch', '=', fence.epoch)
      .where('state', '=', 'queued')
      .executeTakeFirst();
    if (numUpdatedRows > 0n) {
      await addStreamEntry(this.#db, fence.task, { kind: 'state', at: now, text: 'running' });
    } else {
      await this.#fenced(fence, { started_at: sql`coalesce(started_at, ${now})` });
    }
  }

  /** Ends the task, once. STALE_EPOCH for a stale owner, TASK_ENDED when it has ended already. */
  async end(fence: Fence, { state, now, errorCode, errorDetail }: TaskEnding): Promise<void> {
    await this.#fenced(fence, {
      state,
      ended_at: now,
      lease_owner: null,
      lease_until: null,
      error_code: errorCode ?? null,
      error_detail: errorDetail ?? null,
    });
    await addStreamEntry(this.#db, fence.task, {
      kind: 'state',
      at: now,
      text: state,
      ...(errorCode === undefined ? {} : { code: errorCode, level: 'error' as const }),
      ...(errorDetail === undefined ? {} : { data: { detail: errorDetail } }),
    });
  }

  /** STALE_EPOCH unless the fence holds: for transactions whose other writes refer to the task only indirectly. */
  async assertFence(fence: Fence): Promise<void> {
    await this.#fenced(fence, {});
  }

  /** Requests a cancel. Idempotent; an ended task stays as it is. Returns the task in its new state. */
  async requestCancel(id: string, now: number): Promise<Task> {
    const { numUpdatedRows } = await this.#db
      .updateTable('tasks')
      .set({ state: 'cancelling', cancel_requested_at: now })
      .where('id', '=', id)
      .where('ended_at', 'is', null)
      .where('cancel_requested_at', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) await addStreamEntry(this.#db, id, { kind: 'state', at: now, text: 'cancelling' });
    return this.get(id);
  }

  /** The open tasks for which a cancel was requested. */
  async cancelRequested(): Promise<string[]> {
    const rows = await this.#db
      .selectFrom('tasks')
      .select('id')
      .where('ended_at', 'is', null)
      .where('cancel_requested_at', 'is not', null)
      .execute();
    return rows.map((row) => row.id);
  }

  /** How many tasks have not ended. */
  async openCount(): Promise<number> {
    const { count } = await this.#db
      .selectFrom('tasks')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('ended_at', 'is', null)
      .executeTakeFirstOrThrow();
    return Number(count);
  }

  async #fenced({ task, epoch }: Fence, patch: UpdateObject<Schema, 'tasks'>): Promise<void> {
    const { numUpdatedRows } = await this.#db
      .updateTable('tasks')
      .set({ epoch, ...patch })
      .where('id', '=', task)
      .where('epoch', '=', epoch)
      .where('ended_at', 'is', null)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return;
    throw staleOrEnded(await this.find(task), { task, epoch });
  }
}

/** The task that a task retries, from its payload. */
const retryOf = (column: string) => sql<string | null>`json_extract(${sql.ref(column)}, '$.retryOf')`;

/** Why a fenced write changed nothing. */
function staleOrEnded(present: Task | undefined, fence: Fence): IsthmusError {
  if (present?.epoch === fence.epoch && present.endedAt !== null) {
    return new IsthmusError('TASK_ENDED', `task ${fence.task} has ended: ${present.state}`);
  }
  return new IsthmusError('STALE_EPOCH', `task ${fence.task} is no longer owned with epoch ${fence.epoch}`);
}

function toTask(row: Selectable<Schema['tasks']>): Task {
  return {
    id: row.id,
    kind: row.kind,
    title: row.title,
    state: row.state,
    payload: JSON.parse(row.payload_json) as unknown,
    concurrencyKey: row.concurrency_key,
    project: row.project,
    environment: row.environment,
    deadlineAt: row.deadline_at,
    deadlineS: row.deadline_s,
    leaseOwner: row.lease_owner,
    leaseUntil: row.lease_until,
    epoch: row.epoch,
    streamSeq: row.stream_seq,
    cancelRequestedAt: row.cancel_requested_at,
    createdBy: row.created_by,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    errorCode: row.error_code,
    errorDetail: row.error_detail,
  };
}
