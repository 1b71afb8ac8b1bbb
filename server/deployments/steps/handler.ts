// A step kind: how its steps are checked and planned, and what each action does. A new kind is a handler beside these,
// registered in server/task-kinds.ts.
import { IsthmusError } from '../../../contract/errors.ts';
import type { ResolvedVariables, StepKind, StepKinds } from '../../projects/index.ts';
import type { ProcessStep } from '../../store/projects/process.ts';
import type { Machine } from '../../store/inventory/machines.ts';
import type { Node } from '../../store/nodes/nodes.ts';
import type { Release } from '../../store/projects/releases.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { MachineRun } from '../../tasks/execution/machine-run.ts';
import type { FindSources } from '../../tasks/execution/package-ticket.ts';
import type { PlannedStep } from '../../tasks/planned-steps.ts';

/** A machine of a deployment, with the version that it reports. */
export type PlannedMachine = Pick<Machine, 'id' | 'targetRoles'> & Pick<Node, 'softwareVersion'>;

export interface PlanContext {
  /** The deployment's machines. */
  readonly machines: readonly PlannedMachine[];
}

/** A machine on which a step would run, as it is when the deployment is accepted. */
export interface CheckContext {
  readonly machine: PlannedMachine;
  readonly variables: ResolvedVariables;
  /** INVALID_FIELD for a name that is none of a source of packages. */
  readonly checkFeed: (feed: string) => void;
}

/** What an action gets when it runs on a machine. */
export interface ActionContext {
  readonly project: string;
  readonly environment: string;
  readonly task: string;
  /** The machine that the step runs for. */
  readonly target: string;
  readonly release: Release;
  /** Whether an earlier action of the step has not succeeded there. */
  readonly hasFailed: boolean;
  /** As resolved for that machine. */
  readonly variables: ResolvedVariables;
  readonly findSources: FindSources;
}

/** Runs a ticket to its end; returns the ended row. */
export type TicketRunner = (run: MachineRun, ticket: Ticket) => Promise<Ticket>;

/** Prepares one action of a step. What it throws ends the ticket unsent. */
export type StepAction<Step extends ProcessStep> = (step: Step, context: ActionContext) => TicketRunner;

/** It runs although the task is cut short or the machine gets no more work. */
export interface Settling<Step extends ProcessStep> {
  readonly action: string;
  /** Whether it also runs when one of the tickets before it has not succeeded. */
  afterFailure(step: Step, before: readonly Ticket[]): boolean;
}

export interface StepHandler<Step extends ProcessStep = ProcessStep> extends StepKind<Step> {
  /** Decides, when a deployment is accepted, on which machines the step runs and with which actions, in order. */
  plan(step: Step, context: PlanContext): Pick<PlannedStep, 'actions' | 'machines' | 'acquisition' | 'acquiringInStep'>;
  /** Throws, when a deployment is accepted, what would fail on a machine later. */
  readonly check?: (step: Step, context: CheckContext) => void;
  /** The interpreters that the step's scripts need on its machines. */
  readonly interpreters?: (step: Step) => readonly string[];
  /** Every action that a plan may contain. Each has a ticket of its own per machine. */
  readonly actions: Readonly<Record<string, StepAction<Step>>>;
  /** The action that settles what the others have done on a machine, if there is one. */
  readonly settling?: Settling<Step>;
}

/** The machine that the step names; else those with one of its target roles; all machines for a step without roles. */
export function machinesOf(
  { machine, targetRoles }: ProcessStep,
  { machines }: { readonly machines: readonly Pick<Machine, 'id' | 'targetRoles'>[] },
): string[] {
  if (machine !== undefined) return [machine];
  const matches = (roles: readonly string[]) => targetRoles.length === 0 || targetRoles.some((r) => roles.includes(r));
  return machines.filter((each) => matches(each.targetRoles)).map(({ id }) => id);
}

export class StepHandlerRegistry implements StepKinds {
  readonly #handlers = new Map<string, StepHandler>();

  /** Adds a kind. INTERNAL when its name is taken. */
  registerStepHandler<Step extends ProcessStep>(handler: StepHandler<Step>): this {
    const { kind } = handler;
    if (this.#handlers.has(kind)) throw new IsthmusError('INTERNAL', `step kind ${kind} is registered twice`);
    // Handlers are looked up by a step's kind, so each sees only steps of its own.
    this.#handlers.set(kind, handler as unknown as StepHandler);
    return this;
  }

  get kinds(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  find(kind: string): StepHandler | undefined {
    return this.#handlers.get(kind);
  }

  /** The handler of a checked step; INTERNAL when its kind is no longer registered. */
  of({ kind }: ProcessStep): StepHandler {
    const found = this.#handlers.get(kind);
    if (found === undefined) throw new IsthmusError('INTERNAL', `step kind ${kind} is not registered`);
    return found;
  }
}
