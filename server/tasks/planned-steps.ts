// The plan of a task, as its payload keeps it, and the order in which it runs: what runs it and what shows it use both.
import type { Stage } from '../../contract/tasks.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import { hasEnded } from './outcome.ts';

/** A step of a deployment's plan. */
export interface PlannedStep {
  readonly name: string;
  readonly actions: readonly string[];
  readonly machines: readonly string[];
  /** Why no machine takes it, where that is so. */
  readonly skipped?: string;
  readonly stage?: 'beforeAcquisition';
  /** The one machine on which it runs, for all of them: unless it succeeds there, no machine goes on. */
  readonly machine?: string;
  /** The action that fetches what the others need. A plan of 0.1.0 names none: there it runs in its step. */
  readonly acquisition?: string;
  /** The machines that fetch in their step all the same: one of 0.1.0 keeps few packages that no step has staged yet. */
  readonly acquiringInStep?: readonly string[];
}

/** What runs on all machines before the next round begins. */
export interface Round {
  /** Undefined where there is nothing but steps, as in a plan of 0.1.0. */
  readonly stage: Stage | undefined;
  readonly parts: readonly RoundPart[];
}

/** Some actions of the step with this index. On each machine, one part of a round follows the other. */
export interface RoundPart {
  readonly index: number;
  readonly step: PlannedStep;
  readonly actions: readonly string[];
  readonly machines: readonly string[];
}

/** The rounds of a plan in order: each step before acquisition, then all acquisitions at once, then each other step. */
export function roundsOf(steps: readonly PlannedStep[]): Round[] {
  const parts = steps.map((step, index) => ({ step, index, actions: step.actions, machines: step.machines }));
  const { before = [], others = [] } = Object.groupBy(parts, ({ step: { stage } }) =>
    stage === 'beforeAcquisition' ? 'before' : 'others',
  );
  const acquisition = others.flatMap((part) =>
    part.step.acquisition === undefined ? [] : { ...withEarly(part), actions: [part.step.acquisition] },
  );
  const rest = others.map((part): RoundPart[] => {
    const { acquisition: first, acquiringInStep: machines = [] } = part.step;
    const early = { ...withEarly(part), actions: part.actions.filter((action) => action !== first) };
    return machines.length === 0 ? [early] : [early, { ...part, machines }];
  });
  const isStaged = before.length > 0 || acquisition.some(({ machines }) => machines.length > 0);
  return [
    ...before.map((part): Round => ({ stage: 'beforeAcquisition', parts: [part] })),
    ...(acquisition.length === 0 ? [] : [{ stage: 'acquisition' as const, parts: acquisition }]),
    ...rest.map((own): Round => ({ stage: isStaged ? 'steps' : undefined, parts: own })),
  ];
}

/** The part with those of its machines that do not fetch in their step. */
function withEarly(part: RoundPart): RoundPart {
  const inStep = new Set(part.step.acquiringInStep);
  return { ...part, machines: part.machines.filter((machine) => !inStep.has(machine)) };
}

/** The plan of any task: one action, named as its kind, where its payload has no steps. */
export function planOf(task: Task): readonly PlannedStep[] {
  const payload = task.payload as { readonly steps?: readonly PlannedStep[]; readonly machines?: readonly string[] };
  if (payload.steps !== undefined) return payload.steps;
  return [{ name: task.kind, actions: [task.kind], machines: payload.machines ?? [] }];
}

/** The ticket after which no machine goes on: that of a step on one machine, which did not succeed there. */
export function stoppingTicket(steps: readonly PlannedStep[], tickets: readonly Ticket[]): Ticket | undefined {
  if (steps.every(({ machine }) => machine === undefined)) return undefined;
  const isForAll = ({ step }: Ticket) => steps[step]?.machine !== undefined;
  return tickets.find((ticket) => isForAll(ticket) && hasEnded(ticket) && ticket.state !== 'succeeded');
}
