// Runs one round of a deployment on one machine: its actions in order, each with its own ticket. The first one that does
// not succeed ends the deployment on this machine; a step may still settle then what it has done.
import { IsthmusError } from '../../contract/errors.ts';
import { resolveAt, type Opener } from '../projects/index.ts';
import type { ProcessStep } from '../store/projects/process.ts';
import type { Machine } from '../store/inventory/machines.ts';
import type { Release } from '../store/projects/releases.ts';
import type { TicketState } from '../../contract/tasks.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { TaskContext } from '../tasks/context.ts';
import { endTicket, type MachineRun, type TicketDeps } from '../tasks/execution/machine-run.ts';
import {
  afterFailureOf,
  cutShortEnd,
  denialEnd,
  mayHaveRun,
  type TicketEnding,
} from '../tasks/execution/ticket-end.ts';
import type { FindSources } from '../tasks/execution/package-ticket.ts';
import { hasEnded } from '../tasks/outcome.ts';
import { stepLabel } from '../tasks/view.ts';
import type { DeploymentPayload } from './plan.ts';
import type { StepHandlerRegistry, TicketRunner } from './steps/handler.ts';

export interface DeploymentFacts {
  readonly payload: DeploymentPayload;
  readonly release: Release;
  readonly steps: StepHandlerRegistry;
  readonly sealer: Opener;
  readonly findSources: FindSources;
  /** Ends the wait for unreachable machines when they are skipped. */
  readonly reachabilityTimeout: AbortSignal | undefined;
}

/** For a round that holds up every machine until this one has done its part. */
type RoundLimits = Pick<MachineRun, 'answerLimitMs'>;

export class MachineSteps {
  readonly #deps: TicketDeps;
  readonly #context: TaskContext;
  readonly #facts: DeploymentFacts;

  constructor(deps: TicketDeps, context: TaskContext, facts: DeploymentFacts) {
    this.#deps = deps;
    this.#context = context;
    this.#facts = facts;
  }

  /** Runs the machine's tickets of a round; after a failure the rest are closed unsent. */
  async run(tickets: readonly Ticket[], limits: RoundLimits): Promise<void> {
    const done: Ticket[] = [];
    for (const ticket of tickets) {
      const ended = hasEnded(ticket) ? ticket : await this.#runTicket(this.#stepOf(ticket), ticket, limits);
      done.push(ended);
      if (ended.state !== 'succeeded') return this.#fail(done, tickets.slice(done.length));
    }
  }

  #stepOf({ step: index }: Ticket): ProcessStep {
    const step = this.#facts.release.process[index];
    if (step === undefined) throw new IsthmusError('INTERNAL', `the release has no step ${index}`);
    return step;
  }

  /** The last ticket that is `done` has not succeeded. */
  async #fail(done: readonly Ticket[], rest: readonly Ticket[]): Promise<void> {
    const failed = done.at(-1)!;
    const step = this.#stepOf(failed);
    const { settling } = this.#facts.steps.of(step);
    const settles = rest.filter(({ action }) => action === settling?.action && settling.afterFailure(step, done));
    const unsent = rest.filter((ticket) => !settles.includes(ticket));
    await this.#close(unsent, stepLabel(step.name, failed.action), failed.state);
    for (const ticket of settles) if (!hasEnded(ticket)) await this.#runTicket(step, ticket, { hasFailed: true });
  }

  async #runTicket(
    step: ProcessStep,
    ticket: Ticket,
    { hasFailed = false, answerLimitMs }: RoundLimits & { readonly hasFailed?: boolean },
  ): Promise<Ticket> {
    const { payload, reachabilityTimeout } = this.#facts;
    const context = this.#context;
    // Nothing more begins, so nothing is prepared that could fail.
    if (this.#begins(step, ticket) && context.finish.aborted) {
      return endTicket(context, ticket.id, cutShortEnd(context));
    }
    let run: TicketRunner;
    try {
      run = await this.#prepare(step, ticket, hasFailed);
    } catch (thrown) {
      const ending = denialEnd(context, thrown);
      return endTicket(context, ticket.id, mayHaveRun(ticket) ? { ...ending, state: 'interrupted' } : ending);
    }
    const { target, executor } = ticket;
    const machine: MachineRun = {
      context,
      deps: this.#deps,
      target,
      executor,
      // Without a step that one machine runs for all, nothing goes on.
      onUnreachable: step.machine === undefined ? payload.unreachable : 'fail',
      reachabilityTimeout,
      answerLimitMs,
    };
    return run(machine, ticket);
  }

  async #prepare(step: ProcessStep, ticket: Ticket, hasFailed: boolean): Promise<TicketRunner> {
    const { payload, release, steps, sealer, findSources } = this.#facts;
    const { project, environment } = payload;
    const { id: target, targetRoles } = await this.#target(step, ticket);
    const variables = resolveAt(release.variables, { environment, machine: target, targetRoles }, sealer);
    const action = steps.of(step).actions[ticket.action];
    if (action === undefined) throw new IsthmusError('INTERNAL', `a ${step.kind} step has no action ${ticket.action}`);
    const task = this.#context.task.id;
    return action(step, { project, environment, task, target, release, hasFailed, variables, findSources });
  }

  /**
   * The machine as it is now: since the deployment was accepted, it may have been moved, disabled or deleted. Then no
   * more work is sent, but work that was sent runs there and is followed to its end.
   */
  async #target(step: ProcessStep, ticket: Ticket): Promise<Machine> {
    const { environment } = this.#facts.payload;
    const id = ticket.target;
    const machine = await this.#deps.store.machines.get(id);
    if (!this.#begins(step, ticket)) return machine;
    if (machine.disabled) throw new IsthmusError('MACHINE_DISABLED', `machine ${id} has been disabled`);
    if (machine.environments.includes(environment)) return machine;
    throw new IsthmusError('SCOPE_MISMATCH', `machine ${id} is no longer in ${environment}`);
  }

  /** Whether a ticket begins new work on its machine. */
  #begins(step: ProcessStep, { state, action }: Ticket): boolean {
    return state === 'pending' && action !== this.#facts.steps.of(step).settling?.action;
  }

  async #close(rest: readonly Ticket[], label: string, cause: TicketState): Promise<void> {
    const open = rest.filter((ticket) => !hasEnded(ticket));
    if (open.length === 0) return;
    const now = Date.now();
    const ending: TicketEnding =
      cause === 'cancelled'
        ? { state: 'cancelled', errorCode: 'CANCELLED' }
        : { state: 'skipped', ...afterFailureOf(label, cause) };
    const { fence } = this.#context;
    await this.#context.write(async (tx) => {
      for (const { id } of open) await tx.tickets.updateFenced(fence, id, { ...ending, endedAt: now }, now);
    });
  }
}
