// Trying a task again by hand: a new task, with tickets of its own, that asks for the same as an ended one did, on the
// machines where that one did not succeed. What ran there and was interrupted may then run a second time: that is for
// the one who asks to decide, and nothing here asks by itself.
import { IsthmusError } from '../../contract/errors.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskKindRegistry } from './kinds.ts';
import { unsuccessfulMachines } from './view.ts';

/**
 * Accepts a new task for the machines on which task `id` did not succeed, as far as they take work now.
 * TASK_NOT_RETRYABLE while it is open, when its kind cannot be retried, when it has succeeded on all of them, and when what its machines did is
 * forgotten; RETRY_IN_PROGRESS while an earlier retry, or one of that one, has not ended; NO_TARGETS when none of the
 * machines takes work any more.
 */
export async function retryTask(
  tx: StoreTransaction,
  kinds: TaskKindRegistry,
  id: string,
  actor: Actor,
): Promise<Task> {
  const before = await tx.tasks.get(id);
  const wanted = unsuccessfulMachines(before, await tx.tickets.byTask(id));
  await checkRetryable(tx, before, wanted);
  const machines = await stillThere(tx, before, wanted);
  const kind = kinds.get(before.kind);
  if (kind.retry === undefined) throw notRetryable(before, `is of a kind that cannot be retried: ${before.kind}`);
  const deadlineS = Math.round((before.deadlineAt - before.createdAt) / 1000);
  const task = await kind.retry(tx, before, { machines, deadlineS, retryOf: id, actor });
  await tx.events.append({ actor, type: 'task.retried', subject: id, data: { by: task.id } });
  const leftOut = wanted.filter((machine) => !machines.includes(machine));
  for (const machine of leftOut) {
    const text = `${machine}: takes no work any more, and is left out`;
    await tx.taskEvents.append(task.id, { at: task.createdAt, level: 'warning', machine, text });
  }
  return tx.tasks.get(task.id);
}

async function checkRetryable(tx: StoreTransaction, task: Task, wanted: readonly string[]): Promise<void> {
  const { id, state, endedAt } = task;
  if (endedAt === null) throw notRetryable(task, `has not ended: ${state}`);
  // Every task's stream begins with its acceptance. Housekeeping forgets it together with the tickets.
  if ((await tx.taskEvents.stream(id, 0, 1)).length === 0)
    throw notRetryable(task, 'is too old: what its machines did is forgotten');
  // It may have succeeded and still have left machines out that could not be reached.
  if (wanted.length === 0) throw notRetryable(task, 'has succeeded on all its machines');
  const open = await tx.tasks.openRetry(id);
  if (open !== undefined)
    throw new IsthmusError('RETRY_IN_PROGRESS', `task ${id} is being tried again by task ${open}`);
}

function notRetryable({ id }: Task, why: string): IsthmusError {
  return new IsthmusError('TASK_NOT_RETRYABLE', `task ${id} ${why}`);
}

/** Those of the machines that take work; those of a task with an environment must still be in it. */
async function stillThere(
  tx: StoreTransaction,
  { environment }: Task,
  wanted: readonly string[],
): Promise<readonly string[]> {
  const environments = environment === null ? undefined : [environment];
  const there = await tx.machines.select({ ids: wanted, environments, disabled: false });
  if (there.length > 0) return there.map(({ id }) => id);
  throw new IsthmusError('NO_TARGETS', `no machine takes work any more of those that did not succeed`);
}
