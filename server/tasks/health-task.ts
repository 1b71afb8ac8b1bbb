// Health checks that were asked for: one call per machine, no waiting for those that are away.
import PQueue from 'p-queue';
import type { Actor } from '../store/repositories/base.ts';
import type { Task } from '../store/repositories/tasks.ts';
import type { Ticket } from '../store/repositories/tickets.ts';
import type { StoreTransaction } from '../store/store.ts';
import type { TaskContext } from './context.ts';
import { Halted } from './context.ts';
import type { TaskRunner } from './engine.ts';
import { checkHealth, storeHealth } from './health-check.ts';
import type { MachineHealth } from './health.ts';
import { endTicket, failure, type TicketDeps, type TicketEnding } from './machine-run.ts';
import { hasEnded, taskOutcome, type TaskOutcome } from './outcome.ts';
import { ticketsOf } from './script-task.ts';
import { submitTask } from './submit.ts';
import { resolveTargets, type TargetRequest } from './targets.ts';

export interface HealthTaskPayload {
  readonly machines: readonly string[];
}

const CHECKS_AT_ONCE = 64;
/** A check waits for nothing: whatever takes longer is its result. */
const DEADLINE_S = 120;

/** Accepts a health check of machines that are resolved now. */
export async function submitHealthCheck(
  tx: StoreTransaction,
  request: TargetRequest,
  actor: Actor,
  retryOf?: string,
): Promise<Task> {
  const machines = (await resolveTargets(tx, request)).map(({ id }) => id);
  const payload: HealthTaskPayload = { machines };
  const title = `health of ${machines.length === 1 ? machines[0]! : `${machines.length} machines`}`;
  return submitTask(tx, { kind: 'health', title, payload, deadlineS: DEADLINE_S, actor, event: { machines }, retryOf });
}

/** A request that names nothing asks for every enabled machine. */
export async function enabledUnlessNamed(tx: StoreTransaction, request: TargetRequest): Promise<TargetRequest> {
  if (Object.values(request).some((list) => list !== undefined)) return request;
  const machines = await tx.machines.select({ disabled: false });
  return { machines: machines.map(({ id }) => id) };
}

/** Runs health tasks. */
export function healthRunner(deps: TicketDeps): TaskRunner {
  return {
    async run(context): Promise<TaskOutcome> {
      const { machines } = context.task.payload as HealthTaskPayload;
      const tickets = await ticketsOf(deps, context, 'health', machines);
      const queue = new PQueue({ concurrency: CHECKS_AT_ONCE });
      const ended = await queue.addAll(tickets.map((ticket) => () => runHealthTicket(deps, context, ticket)));
      return taskOutcome({ tickets: ended, finishReason: context.finishReason, unfinished: ended.length === 0 });
    },
  };
}

/** Asking twice does no harm, so a resumed check is simply made again. */
async function runHealthTicket(deps: TicketDeps, context: TaskContext, ticket: Ticket): Promise<Ticket> {
  if (hasEnded(ticket)) return ticket;
  const { finish, halt } = context;
  const machine = await deps.store.machines.find(ticket.machine);
  if (machine === undefined) {
    return endTicket(context, ticket.id, { state: 'failed', ...failure('NOT_FOUND', 'the machine was deleted') });
  }
  const health = await checkHealth(deps, machine, AbortSignal.any([finish, halt]));
  if (halt.aborted) throw new Halted();
  if (finish.aborted) {
    const state = context.finishReason === 'cancel' ? 'cancelled' : 'timed_out';
    return endTicket(context, ticket.id, { state });
  }
  return endTicket(context, ticket.id, endingOf(health), (tx) => storeHealth(tx, machine.id, health));
}

function endingOf(health: MachineHealth): TicketEnding {
  const [reason] = health.reasons;
  const detail = health;
  if (health.health === 'unreachable') {
    return { state: 'failed', detail, ...failure(reason?.code ?? 'UNREACHABLE', reason?.text ?? '', health.hop) };
  }
  if (health.health !== 'unhealthy') return { state: 'succeeded', detail };
  const worst = health.reasons.filter(({ severity }) => severity === 'unhealthy').map(({ text }) => text);
  return { state: 'failed', detail, ...failure('MACHINE_UNHEALTHY', worst.join('; ')) };
}
