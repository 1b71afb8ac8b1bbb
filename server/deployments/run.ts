// Runs a deployment in rounds: the steps before acquisition, then the acquisition of every package on every machine at
// once, then the other steps, each on all its machines before the next. Everything is decided from the tickets' rows, so
// that after a crash of the server a deployment continues where it stopped.
import PQueue from 'p-queue';
import { LongTimer } from '../../lib/async/long-timer.ts';
import type { Stage } from '../../contract/tasks.ts';
import { newId } from '../../lib/ids.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { Store, StoreTransaction } from '../store/store.ts';
import type { TaskContext } from '../tasks/context.ts';
import type { TicketDeps } from '../tasks/execution/machine-run.ts';
import { MACHINES_AT_ONCE } from '../tasks/execution/per-machine.ts';
import { hasEnded, taskOutcome, type TaskOutcome } from '../tasks/outcome.ts';
import { roundsOf, stoppingTicket, type Round } from '../tasks/planned-steps.ts';
import { MachineSteps, type DeploymentFacts } from './machine-steps.ts';
import type { DeploymentPayload } from './plan.ts';

/** What a deployment needs beside the dependencies of every ticket. */
export interface DeploymentDeps extends Pick<DeploymentFacts, 'steps' | 'sealer' | 'findSources'> {
  readonly store: Pick<Store, 'releases'>;
  /** Waits until the mirrors of its sites have the release; the outcome when the task is to finish before. */
  readonly untilReady: (context: TaskContext, payload: DeploymentPayload) => Promise<TaskOutcome | undefined>;
}

/** Runs a deployment task to its outcome. */
export async function runDeployment(
  { store, untilReady, ...given }: DeploymentDeps,
  context: TaskContext,
  deps: TicketDeps,
): Promise<TaskOutcome> {
  const payload = context.task.payload as DeploymentPayload;
  const release = await store.releases.get(payload.release);
  if (payload.whenReady === true && (await deps.store.tickets.byTask(context.task.id)).length === 0) {
    const outcome = await untilReady(context, payload);
    if (outcome !== undefined) return outcome;
  }
  const reachabilityTimeout = reachabilityTimeoutOf(context, payload);
  const facts: DeploymentFacts = { ...given, payload, release, reachabilityTimeout: reachabilityTimeout?.signal };
  const machines = new MachineSteps(deps, context, facts);
  try {
    let unfinished = false;
    let stage: Stage | undefined;
    for (const round of roundsOf(payload.steps)) {
      const beginsStage = round.stage !== stage;
      stage = round.stage;
      const tickets = await ticketsOfRound(deps, context, payload, { ...round, beginsStage });
      if (tickets === undefined) {
        unfinished = true;
        break;
      }
      await runRound(machines, tickets, holdsUpOthers(payload, round) ? () => context.leftMs / 2 : undefined);
    }
    const tickets = await deps.store.tickets.byTask(context.task.id);
    return taskOutcome({ tickets, finishReason: context.finishReason, unfinished });
  } finally {
    reachabilityTimeout?.stop();
  }
}

async function runRound(
  machines: MachineSteps,
  tickets: readonly Ticket[],
  answerLimitMs: (() => number) | undefined,
): Promise<void> {
  const byTarget = Map.groupBy(tickets, ({ target }) => target);
  const queue = new PQueue({ concurrency: MACHINES_AT_ONCE });
  await queue.addAll([...byTarget.values()].map((own) => () => machines.run(own, { answerLimitMs })));
}

/**
 * Whether machines that could go on wait for those of the round. Then a silent machine may use half of the time that is
 * left and no more, so that the rest lasts for those that wait, however many rounds or machines are silent.
 */
function holdsUpOthers({ steps }: DeploymentPayload, { stage, parts }: Round): boolean {
  if (stage === undefined || stage === 'steps') return false;
  // Without the machine that runs a step for all, nobody goes on.
  if (parts.some(({ step }) => step.machine !== undefined)) return false;
  const targets = steps.filter(({ machine }) => machine === undefined).flatMap(({ machines }) => machines);
  return new Set(targets).size > 1;
}

/**
 * The round's tickets, in the order in which they run on each machine: existing ones, or new ones for the machines
 * still in the deployment. Undefined when the task is to finish and the round has not begun.
 */
async function ticketsOfRound(
  { store }: TicketDeps,
  context: TaskContext,
  { steps }: DeploymentPayload,
  round: Round & { readonly beginsStage: boolean },
): Promise<readonly Ticket[] | undefined> {
  const known = await store.tickets.byTask(context.task.id);
  // They are committed together.
  const own = ofRound(known, round);
  if (own.length > 0) return own;
  if (stoppingTicket(steps, known) !== undefined) return [];
  const left = new Set(known.filter((ticket) => hasEnded(ticket) && ticket.state !== 'succeeded').map((t) => t.target));
  const now = Date.now();
  // A machine's own tentacle runs its steps.
  const rows = round.parts.flatMap(({ index: step, machines, actions }) =>
    machines
      .filter((machine) => !left.has(machine))
      .flatMap((machine) =>
        actions.map((action) => {
          return { id: newId(now), step, action, target: machine, executor: machine, attempt: 1, createdAt: now };
        }),
      ),
  );
  if (rows.length === 0) return [];
  if (context.finish.aborted) return undefined;
  return context.write(async (tx) => {
    await tx.tickets.insert(context.fence, rows);
    if (round.beginsStage && round.stage !== undefined) await tellStage(tx, context, round.stage);
    return ofRound(await tx.tickets.byTask(context.task.id), round);
  });
}

const STAGE_TEXTS = { beforeAcquisition: 'before acquisition', acquisition: 'acquisition', steps: 'steps' } as const;

function tellStage(tx: StoreTransaction, { task, fence }: TaskContext, stage: Stage): Promise<void> {
  const message = { at: Date.now(), text: `stage: ${STAGE_TEXTS[stage]}`, data: { stage } };
  return tx.taskEvents.append(task.id, message, fence.epoch);
}

function ofRound(tickets: readonly Ticket[], { parts }: Round): readonly Ticket[] {
  const order = new Map(
    parts
      .flatMap(({ index, actions, machines }) =>
        actions.flatMap((action) => machines.map((machine) => `${index} ${action} ${machine}`)),
      )
      .map((key, at) => [key, at]),
  );
  const at = ({ step, action, target }: Ticket) => order.get(`${step} ${action} ${target}`);
  return tickets.filter((ticket) => at(ticket) !== undefined).sort((a, b) => at(a)! - at(b)!);
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
