// A type of step, whole: how it is checked, what it plans for which machines, and what each of its actions does. A new
// type is a handler beside these, registered in server/task-kinds.ts.
import { IsthmusError } from '../../../contract/errors.ts';
import type { ResolvedVariables, StepType, StepTypes } from '../../projects/index.ts';
import type { ProcessStep } from '../../store/projects/process.ts';
import type { Machine } from '../../store/inventory/machines.ts';
import type { Release } from '../../store/projects/releases.ts';
import type { Ticket } from '../../store/tasks/tickets.ts';
import type { MachineRun } from '../../tasks/execution/machine-run.ts';
import type { FindSources } from '../../tasks/execution/package-ticket.ts';
import type { PlannedStep } from '../../tasks/view.ts';

export interface PlanContext {
  /** Those that the deployment is for. */
  readonly machines: readonly Pick<Machine, 'id' | 'targetRoles'>[];
}

/** What an action knows when its turn comes on a machine. */
export interface ActionContext {
  readonly project: string;
  readonly environment: string;
  readonly task: string;
  /** The machine that the step is about. */
  readonly target: string;
  readonly release: Release;
  /** As they are on that machine. */
  readonly variables: ResolvedVariables;
  readonly findSources: FindSources;
}

/** Runs a ticket to its end; answers the ended row. */
export type TicketRunner = (run: MachineRun, ticket: Ticket) => Promise<Ticket>;

/** Prepares one action of a step. What it throws ends the ticket unsent. */
export type StepAction<Step extends ProcessStep> = (step: Step, context: ActionContext) => TicketRunner;

export interface StepHandler<Step extends ProcessStep = ProcessStep> extends StepType<Step> {
  /** Decides, when a deployment is accepted, on which machines the step runs and by which actions, in order. */
  plan(step: Step, context: PlanContext): Omit<PlannedStep, 'name'>;
  /** Each action that a plan may name. It has a ticket of its own per machine. */
  readonly actions: Readonly<Record<string, StepAction<Step>>>;
}

/** The machines that have one of the step's target roles; a step without roles is for every machine. */
export function machinesOf({ targetRoles }: ProcessStep, { machines }: PlanContext): string[] {
  const takes = (roles: readonly string[]) => targetRoles.length === 0 || targetRoles.some((r) => roles.includes(r));
  return machines.filter((machine) => takes(machine.targetRoles)).map(({ id }) => id);
}

export class StepHandlerRegistry implements StepTypes {
  readonly #handlers = new Map<string, StepHandler>();

  /** Adds a type. INTERNAL when its name is taken. */
  registerStepHandler<Step extends ProcessStep>(handler: StepHandler<Step>): this {
    const { type } = handler;
    if (this.#handlers.has(type)) throw new IsthmusError('INTERNAL', `step type ${type} is registered twice`);
    // A handler is found by a step's kind, so it sees only steps of its own type.
    this.#handlers.set(type, handler as unknown as StepHandler);
    return this;
  }

  get types(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  find(type: string): StepHandler | undefined {
    return this.#handlers.get(type);
  }

  /** The handler of a step that was checked; INTERNAL when its type is no longer there. */
  of({ kind }: ProcessStep): StepHandler {
    const found = this.#handlers.get(kind);
    if (found === undefined) throw new IsthmusError('INTERNAL', `step type ${kind} is not registered`);
    return found;
  }
}
