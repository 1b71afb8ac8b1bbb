// Runs a deployment: one step on all its machines, then the next. Everything is decided from the tickets' rows, so that
// after a crash of the server a deployment continues where it stopped.
import PQueue from 'p-queue';
import { LongTimer } from '../../lib/async/long-timer.ts';
import { newId } from '../../lib/ids.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { Store } from '../store/store.ts';
import type { TaskContext } from '../tasks/context.ts';
import type { TicketDeps } from '../tasks/execution/machine-run.ts';
import { MACHINES_AT_ONCE } from '../tasks/execution/per-machine.ts';
import { hasEnded, taskOutcome, type TaskOutcome } from '../tasks/outcome.ts';
import type { PlannedStep } from '../tasks/view.ts';
import { MachineSteps, type DeploymentFacts } from './machine-steps.ts';
import type { DeploymentPayload } from './plan.ts';

/** What a deployment needs beside the dependencies of every ticket. */
export interface DeploymentDeps extends Pick<DeploymentFacts, 'steps' | 'sealer' | 'findSources'> {
  readonly store: Pick<Store, 'releases'>;
}

/** Runs a deployment task to its outcome. */
export async function runDeployment(
  { store, ...given }: DeploymentDeps,
  context: TaskContext,
  deps: TicketDeps,
): Promise<TaskOutcome> {
  const payload = context.task.payload as DeploymentPayload;
  const release = await store.releases.get(payload.release);
  const reachabilityTimeout = reachabilityTimeoutOf(context, payload);
  const facts: DeploymentFacts = { ...given, payload, release, reachabilityTimeout: reachabilityTimeout?.signal };
  const machines = new MachineSteps(deps, context, facts);
  try {
    let unfinished = false;
    for (const [index, planned] of payload.steps.entries()) {
      const tickets = await ticketsOfStep(deps, context, index, planned);
      if (tickets === undefined) {
        unfinished = true;
        break;
      }
      await runStep(machines, index, tickets);
    }
    const tickets = await deps.store.tickets.byTask(context.task.id);
    return taskOutcome({ tickets, finishReason: context.finishReason, unfinished });
  } finally {
    reachabilityTimeout?.stop();
  }
}

async function runStep(machines: MachineSteps, step: number, tickets: readonly Ticket[]): Promise<void> {
  const byTarget = Map.groupBy(tickets, ({ target }) => target);
  const queue = new PQueue({ concurrency: MACHINES_AT_ONCE });
  await queue.addAll([...byTarget.values()].map((own) => () => machines.run(step, own)));
}

/**
 * The step's tickets: existing ones, or new ones for the machines still in the deployment. Undefined when the task
 * is to finish and the step has not begun.
 */
async function ticketsOfStep(
  { store }: TicketDeps,
  context: TaskContext,
  step: number,
  { machines, actions }: PlannedStep,
): Promise<Ticket[] | undefined> {
  const known = await store.tickets.byTask(context.task.id);
  const own = known.filter((ticket) => ticket.step === step);
  if (own.length > 0) return inOrder(own, actions);
  const left = new Set(known.filter((ticket) => hasEnded(ticket) && ticket.state !== 'succeeded').map((t) => t.target));
  const taking = machines.filter((machine) => !left.has(machine));
  if (taking.length === 0) return [];
  if (context.finish.aborted) return undefined;
  const now = Date.now();
  // A machine's own tentacle runs its steps.
  const rows = taking.flatMap((machine) =>
    actions.map((action) => {
      return { id: newId(now), step, action, target: machine, executor: machine, attempt: 1, createdAt: now };
    }),
  );
  const all = await context.write(async (tx) => {
    await tx.tickets.insert(context.fence, rows);
    return tx.tickets.byTask(context.task.id);
  });
  return inOrder(
    all.filter((ticket) => ticket.step === step),
    actions,
  );
}

function inOrder(tickets: readonly Ticket[], actions: readonly string[]): Ticket[] {
  return [...tickets].sort((a, b) => actions.indexOf(a.action) - actions.indexOf(b.action));
}

/**
 * When unreachable machines are skipped, the wait for them ends at half of the task's time, so that the others have the
 * rest for the following steps.
 */
function reachabilityTimeoutOf(
  { task, leftMs }: TaskContext,
  { unreachable }: DeploymentPayload,
): { readonly signal: AbortSignal; stop(): void } | undefined {
  if (unreachable !== 'skip') return undefined;
  const controller = new AbortController();
  const now = () => performance.now();
  const timer = new LongTimer(now() + leftMs - (task.deadlineS * 1000) / 2, () => controller.abort(), { now });
  return { signal: controller.signal, stop: () => timer.stop() };
}
