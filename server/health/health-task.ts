// The task kind of requested health checks: one call per machine, without waiting for unreachable ones.
import type { Actor } from '../store/base.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { StoreTransaction } from '../store/store.ts';
import { Halted, type TaskContext } from '../tasks/context.ts';
import { endTicket, type TicketDeps } from '../tasks/execution/machine-run.ts';
import { cutShortEnd, failure, type TicketEnding } from '../tasks/execution/ticket-end.ts';
import { runPerMachine } from '../tasks/execution/per-machine.ts';
import type { Lane, TaskKind } from '../tasks/kinds.ts';
import { hasEnded } from '../tasks/outcome.ts';
import { submitTask } from '../tasks/submit.ts';
import { noTargets, resolveTargets, selectTargets, type TargetRequest, type Targets } from '../tasks/targets.ts';
import { checkHealth, storeHealth } from './health-check.ts';
import type { MachineHealth } from './judgement.ts';

interface HealthTaskPayload {
  readonly machines: readonly string[];
}

/** A lane of their own, so that checks run while work queues up. */
const HEALTH_LANE: Lane = { name: 'health', concurrency: 32 };
const CHECKS_AT_ONCE = 64;
/** A check waits for nothing; being slower than this is a result, too. */
const DEADLINE_S = 120;

/** Checks the machines that were resolved when the task was accepted. */
export const healthTask: TaskKind<HealthTaskPayload> = {
  kind: 'health',
  lane: HEALTH_LANE,
  run(context, deps) {
    const { machines } = context.task.payload as HealthTaskPayload;
    return runPerMachine(deps, context, { action: 'health', machines, concurrency: CHECKS_AT_ONCE }, (ticket) =>
      runHealthTicket(deps, context, ticket),
    );
  },
  retry: (tx, _task, { machines, actor, retryOf }) => submitHealthCheck(tx, { machines }, actor, retryOf),
};

/** Accepts a health check and resolves its machines now: all of them when it names none. */
export async function submitHealthCheck(
  tx: StoreTransaction,
  request: TargetRequest,
  actor: Actor,
  retryOf?: string,
): Promise<Task> {
  const isNamed = Object.values(request).some((list) => list !== undefined);
  const targets = isNamed ? await resolveTargets(tx, request) : await everyMachine(tx);
  const machines = targets.machines.map(({ id }) => id);
  const title = `health of ${machines.length === 1 ? machines[0]! : `${machines.length} machines`}`;
  const event = { machines };
  const { leftOut } = targets;
  const task = { title, payload: { machines }, deadlineS: DEADLINE_S, actor, event, retryOf, leftOut };
  return submitTask(tx, healthTask, task);
}

async function everyMachine(tx: StoreTransaction): Promise<Targets> {
  const targets = await selectTargets(tx, {});
  if (targets.machines.length === 0) throw noTargets('', targets.leftOut, 'machines');
  return targets;
}

/** A check has no effect on the machine, so a resumed one is simply repeated. */
async function runHealthTicket(deps: TicketDeps, context: TaskContext, ticket: Ticket): Promise<Ticket> {
  if (hasEnded(ticket)) return ticket;
  const { finish, halt } = context;
  const machine = await deps.store.machines.find(ticket.target);
  if (machine === undefined) {
    return endTicket(context, ticket.id, { state: 'failed', ...failure('NOT_FOUND', 'the machine was deleted') });
  }
  const health = await checkHealth(deps, machine, AbortSignal.any([finish, halt]));
  if (halt.aborted) throw new Halted();
  // A check that was cut short finds the machine unreachable.
  if (finish.aborted && health.health === 'unreachable') return endTicket(context, ticket.id, cutShortEnd(context));
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
