// Retries a task on request: a new task, with tickets of its own, repeats an ended one on the machines where that one
// did not succeed. What was interrupted there may run a second time, so only a user retries, never the server.
import { IsthmusError } from '../../contract/errors.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskKindRegistry } from './kinds.ts';
import { unsuccessfulMachines } from './view.ts';

/**
 * Accepts a new task for the machines on which task `id` did not succeed, if they accept work now.
 * TASK_NOT_RETRYABLE while it is open, when its kind cannot be retried, when it has succeeded on all machines, and when
 * its tickets are purged; RETRY_IN_PROGRESS while an earlier retry, or a retry of that one, is open; NO_TARGETS when
 * none of the machines accepts work any more.
 */
export async function retryTask(
  tx: StoreTransaction,
  kinds: TaskKindRegistry,
  id: string,
  actor: Actor,
): Promise<Task> {
  const before = await tx.tasks.get(id);
  const unsuccessful = unsuccessfulMachines(before, await tx.tickets.byTask(id));
  await checkRetryable(tx, before, unsuccessful);
  const machines = await acceptingWork(tx, before, unsuccessful);
  const kind = kinds.get(before.kind);
  if (kind.retry === undefined) throw notRetryable(before, `is of a kind that cannot be retried: ${before.kind}`);
  const task = await kind.retry(tx, before, { machines, deadlineS: before.deadlineS, retryOf: id, actor });
  await tx.events.append({ actor, type: 'task.retried', subject: id, data: { by: task.id } });
  const leftOut = unsuccessful.filter((machine) => !machines.includes(machine));
  for (const machine of leftOut) {
    const text = `${machine}: accepts no work any more, and is left out`;
    await tx.taskEvents.append(task.id, { at: task.createdAt, level: 'warning', machine, text });
  }
  return tx.tasks.get(task.id);
}

async function checkRetryable(tx: StoreTransaction, task: Task, unsuccessful: readonly string[]): Promise<void> {
  const { id, state, endedAt } = task;
  if (endedAt === null) throw notRetryable(task, `has not ended: ${state}`);
  // Every task's stream begins with its acceptance. Retention purges it together with the tickets.
  if ((await tx.taskEvents.stream(id, 0, 1)).length === 0)
    throw notRetryable(task, 'is too old: its tickets are purged');
  // A task can succeed and still have left out unreachable machines.
  if (unsuccessful.length === 0) throw notRetryable(task, 'has succeeded on all its machines');
  const open = await tx.tasks.openRetry(id);
  if (open !== undefined) throw new IsthmusError('RETRY_IN_PROGRESS', `task ${open} retries task ${id} already`);
}

function notRetryable({ id }: Task, why: string): IsthmusError {
  return new IsthmusError('TASK_NOT_RETRYABLE', `task ${id} ${why}`);
}

/** The machines that accept work; if the task has an environment, they must still be in it. */
async function acceptingWork(
  tx: StoreTransaction,
  { environment }: Task,
  unsuccessful: readonly string[],
): Promise<readonly string[]> {
  const environments = environment === null ? undefined : [environment];
  const accepting = await tx.machines.select({ ids: unsuccessful, environments, disabled: false });
  if (accepting.length > 0) return accepting.map(({ id }) => id);
  throw new IsthmusError('NO_TARGETS', 'none of the machines that did not succeed accepts work any more');
}
