// Accepts a task: one row, one event, one transaction; after the commit it is never lost (I2).
import { IsthmusError } from '../../contract/errors.ts';
import { LONGEST_DEADLINE_S } from '../../contract/tasks.ts';
import { newId } from '../../lib/ids.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskKind } from './kinds.ts';
import { leftOutText, type LeftOut } from './targets.ts';

interface NewTaskRequest<Payload extends object> {
  readonly title: string;
  readonly payload: Payload;
  /** The machines that match and accept no work. */
  readonly leftOut?: readonly LeftOut[];
  /** The task that this one retries. */
  readonly retryOf?: string | undefined;
  readonly project?: string;
  readonly environment?: string;
  /** From now; undefined for the default. */
  readonly deadlineS: number | undefined;
  readonly actor: Actor;
  /** The event's data beside kind and title. */
  readonly event: Readonly<Record<string, unknown>>;
}

export const DEFAULT_DEADLINE_S = 3_600;

/** Adds a queued task. The commit wakes the engine. */
export async function submitTask<Payload extends object>(
  tx: StoreTransaction,
  of: Pick<TaskKind<Payload>, 'kind' | 'concurrencyKey'>,
  request: NewTaskRequest<Payload>,
): Promise<Task> {
  const { kind } = of;
  const { title, project = null, environment = null, actor, retryOf, leftOut = [] } = request;
  const retry = retryOf === undefined ? {} : { retryOf };
  const deadlineS = checkedDeadline(request.deadlineS);
  const now = Date.now();
  const id = newId(now);
  await tx.tasks.insert({
    id,
    kind,
    title,
    payload: {
      ...request.payload,
      ...retry,
      ...(leftOut.length === 0 ? {} : { leftOut: leftOut.map(({ machine, reason }) => ({ machine, reason })) }),
    },
    concurrencyKey: of.concurrencyKey?.(request.payload) ?? null,
    project,
    environment,
    deadlineS,
    createdBy: actor,
    createdAt: now,
  });
  const data = { kind, title, ...request.event, ...retry };
  await tx.events.append({ actor, type: 'task.created', subject: id, data });
  if (leftOut.length > 0) {
    await tx.taskEvents.append(id, { at: now, level: 'warning', text: `left out: ${leftOutText(leftOut)}` });
  }
  return tx.tasks.get(id);
}

/** Requests the cancellation of a task. Idempotent; an ended task is returned unchanged. */
export async function cancelTask(tx: StoreTransaction, id: string, actor: Actor): Promise<Task> {
  const before = await tx.tasks.get(id);
  if (before.endedAt !== null || before.cancelRequestedAt !== null) return before;
  const task = await tx.tasks.requestCancel(id, Date.now());
  await tx.events.append({ actor, type: 'task.cancel-requested', subject: id, data: {} });
  return task;
}

function checkedDeadline(deadlineS: number = DEFAULT_DEADLINE_S): number {
  if (Number.isFinite(deadlineS) && deadlineS >= 1 && deadlineS <= LONGEST_DEADLINE_S) return deadlineS;
  throw new IsthmusError('INVALID_FIELD', `a deadline is 1 to ${LONGEST_DEADLINE_S} seconds from now`, {
    field: 'deadlineS',
  });
}
