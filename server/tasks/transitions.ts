// Starts and ends a task's run: two writes, each with its event in the same transaction.
import type { TicketState } from '../../contract/tasks.ts';
import type { TaskContext } from './context.ts';
import type { TaskKind } from './kinds.ts';
import { hasEnded, type TaskOutcome } from './outcome.ts';

/** Marks the task as running, or records that this node resumes it. */
export async function startTask(context: TaskContext, kind: TaskKind, nodeId: string): Promise<void> {
  const { task, fence } = context;
  const resumed = task.startedAt !== null;
  await context.write(async (tx) => {
    await tx.tasks.markRunning(fence, Date.now());
    if (resumed) await tx.taskEvents.append(task.id, { at: Date.now(), text: `resumed by ${nodeId}` }, fence.epoch);
    const data = { node: nodeId, epoch: fence.epoch };
    await tx.events.append({
      actor: 'system',
      type: resumed ? 'task.resumed' : 'task.started',
      subject: task.id,
      data,
    });
    await kind.onStart?.(tx, task, { resumed, ...data });
  });
}

/** Ends the task, once. Closes the tickets that a fault left open: every ticket of an ended task has an end. */
export async function endTask(context: TaskContext, kind: TaskKind, outcome: TaskOutcome): Promise<void> {
  const { task, fence } = context;
  const now = Date.now();
  await context.write(async (tx) => {
    for (const ticket of await tx.tickets.byTask(task.id)) {
      if (hasEnded(ticket)) continue;
      // What was never sent did not run; whether the rest ran is unknown.
      const state: TicketState = ticket.state === 'pending' ? 'cancelled' : 'interrupted';
      const { errorCode, errorDetail } = outcome;
      await tx.tickets.updateFenced(fence, ticket.id, { state, errorCode, errorDetail, endedAt: now }, now);
    }
    const data = { state: outcome.state, errorCode: outcome.errorCode ?? null };
    await tx.events.append({ actor: 'system', type: 'task.ended', subject: task.id, data });
    await kind.onEnd?.(tx, task, outcome);
    await tx.tasks.end(fence, { ...outcome, now });
  });
}
