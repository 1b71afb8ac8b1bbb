// Retries a task on request: a new task, with tickets of its own, repeats an ended one on the machines where that one
// did not succeed. What was interrupted there may run a second time, so only a user retries, never the server.
import { IsthmusError } from '../../contract/errors.ts';
import type { EventData } from '../../contract/events.ts';
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskKindRegistry } from './kinds.ts';
import { noTargets, selectTargets } from './targets.ts';
import { successfulMachines, unsuccessfulMachines } from './view.ts';

/** Of one task; more than anybody has patience for. */
const MOST_RETRIES = 1_000;

/**
 * Accepts a new task for the machines on which neither task `id` nor a retry of it has succeeded, if they accept work
 * now. TASK_NOT_RETRYABLE while it is open, when its kind cannot be retried, when there is no such machine, and when its
 * tickets are purged; RETRY_IN_PROGRESS while another retry of the same work is open; NO_TARGETS when none of the
 * machines accepts work any more.
 */
export async function retryTask(
  tx: StoreTransaction,
  kinds: TaskKindRegistry,
  id: string,
  actor: Actor,
): Promise<Task> {
  const before = await tx.tasks.get(id);
  const kind = kinds.get(before.kind);
  if (kind.retry === undefined) throw notRetryable(before, `is of a kind that cannot be retried: ${before.kind}`);
  const remaining = await checkRetryable(tx, before);
  const { machines, leftOut } = await acceptingWork(tx, before, remaining);
  const task = await kind.retry(tx, before, { machines, deadlineS: before.deadlineS, retryOf: id, actor });
  await tx.events.append({ actor, type: 'task.retried', subject: id, data: { by: task.id } });
  for (const [machine, reason] of leftOut) {
    const text = `${machine}: left out (${reason})`;
    await tx.taskEvents.append(task.id, { at: task.createdAt, level: 'warning', machine, text });
  }
  return tx.tasks.get(task.id);
}

/** The machines that are left to do. */
async function checkRetryable(tx: StoreTransaction, task: Task): Promise<readonly string[]> {
  const { id, state, endedAt } = task;
  if (endedAt === null) throw notRetryable(task, `has not ended: ${state}`);
  // Every task's stream begins with its acceptance. Retention purges it together with the tickets.
  if ((await tx.taskEvents.stream(id, 0, 1)).length === 0)
    throw notRetryable(task, 'is too old: its tickets are purged');
  const unsuccessful = unsuccessfulMachines(task, await tx.tickets.byTask(id));
  // A task can succeed and still have left out unreachable machines.
  if (unsuccessful.length === 0) throw notRetryable(task, 'has succeeded on all its machines');
  const first = await firstAttempt(tx, task);
  const open = await tx.tasks.openRetry(first);
  if (open !== undefined) throw new IsthmusError('RETRY_IN_PROGRESS', `task ${open} retries task ${id} already`);
  const doneBy = await successes(tx, first);
  const remaining = unsuccessful.filter((machine) => !doneBy.has(machine));
  if (remaining.length > 0) return remaining;
  const by = [...new Set(unsuccessful.map((machine) => doneBy.get(machine)))].join(', ');
  throw notRetryable(task, `was retried, and has succeeded on all its machines by then: ${by}`);
}

/** The task that this one retries, directly or through other retries; itself when it is no retry. */
async function firstAttempt(tx: StoreTransaction, task: Task): Promise<string> {
  const { retryOf } = task.payload as { readonly retryOf?: string };
  const earlier = retryOf === undefined ? undefined : await tx.tasks.find(retryOf);
  return earlier === undefined ? task.id : firstAttempt(tx, earlier);
}

/** Each machine on which this task or a retry of it has succeeded, with that task. */
async function successes(tx: StoreTransaction, id: string): Promise<ReadonlyMap<string, string>> {
  const doneBy = new Map<string, string>();
  for (const machine of successfulMachines(await tx.tasks.get(id), await tx.tickets.byTask(id)))
    doneBy.set(machine, id);
  const { items } = await tx.events.list({ type: 'task.retried', subject: id, limit: MOST_RETRIES });
  for (const { data } of items) {
    const { by } = data as EventData['task.retried'];
    for (const [machine, task] of await successes(tx, by)) doneBy.set(machine, task);
  }
  return doneBy;
}

function notRetryable({ id }: Task, why: string): IsthmusError {
  return new IsthmusError('TASK_NOT_RETRYABLE', `task ${id} ${why}`);
}

interface Accepting {
  readonly machines: readonly string[];
  /** The others, with why. */
  readonly leftOut: ReadonlyMap<string, string>;
}

/** The machines that accept work; if the task has an environment, they must still be in it. */
async function acceptingWork(
  tx: StoreTransaction,
  { environment }: Task,
  remaining: readonly string[],
): Promise<Accepting> {
  const environments = environment === null ? undefined : [environment];
  const targets = await selectTargets(tx, { ids: remaining, environments });
  const machines = targets.machines.map(({ id }) => id);
  const gone = environment === null ? 'it was deleted' : `it is no longer in ${environment}`;
  const reasons = new Map<string, string>(targets.leftOut.map(({ machine, reason }) => [machine, reason]));
  const others = remaining.filter((machine) => !machines.includes(machine));
  const leftOut = new Map(others.map((machine) => [machine, reasons.get(machine) ?? gone]));
  if (machines.length > 0) return { machines, leftOut };
  if (targets.leftOut.length > 0) throw noTargets(' on which it did not succeed', targets.leftOut);
  throw new IsthmusError('NO_TARGETS', `no machine on which it did not succeed is left: ${gone}`);
}
