// Runs tasks that do one thing on each of their machines: one ticket per machine, with bounded concurrency.
import PQueue from 'p-queue';
import { newId } from '../../../lib/ids.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { TaskContext } from '../context.ts';
import { taskOutcome, type TaskOutcome } from '../outcome.ts';
import type { TicketDeps } from './machine-run.ts';

/** Machines of one task that run at once: practically all, but few enough to let other tasks proceed. */
export const MACHINES_AT_ONCE = 200;

interface PerMachine {
  readonly action: string;
  readonly machines: readonly string[];
  readonly concurrency: number;
}

/** Runs one ticket per machine with `run`, which returns the ended row. Returns the task's outcome. */
export async function runPerMachine(
  deps: TicketDeps,
  context: TaskContext,
  { action, machines, concurrency }: PerMachine,
  run: (ticket: Ticket) => Promise<Ticket>,
): Promise<TaskOutcome> {
  const tickets = await ticketsOf(deps, context, action, machines);
  const queue = new PQueue({ concurrency });
  const ended = await queue.addAll(tickets.map((ticket) => () => run(ticket)));
  return taskOutcome({ tickets: ended, finishReason: context.finishReason, unfinished: ended.length === 0 });
}

/** The task's tickets, one per machine: the existing ones when it is resumed, else new ones, committed here. */
export async function ticketsOf(
  { store }: Pick<TicketDeps, 'store'>,
  context: TaskContext,
  action: string,
  machines: readonly string[],
): Promise<Ticket[]> {
  const known = context.task.startedAt === null ? [] : await store.tickets.byTask(context.task.id);
  // Cancelled before it began: nothing to write and nothing to do.
  if (known.length > 0 || context.finish.aborted) return known;
  const now = Date.now();
  const rows = machines.map((machine) => {
    return { id: newId(now), step: 0, action, target: machine, executor: machine, attempt: 1, createdAt: now };
  });
  return context.write(async (tx) => {
    await tx.tickets.insert(context.fence, rows);
    return tx.tickets.byTask(context.task.id);
  });
}
