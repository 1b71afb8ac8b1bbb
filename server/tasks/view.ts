// A task as readers see it: its row, and per machine every step with its state, future steps included.
import type {
  SkippedStep,
  Task as TaskView,
  TaskError,
  TaskMachine,
  TaskStep,
  TaskSummary,
  TicketState,
} from '../../contract/tasks.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { MachineMessage } from '../store/tasks/task-stream.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { Store } from '../store/store.ts';
import { afterFailureOf } from './execution/ticket-end.ts';
import { isPackageProgress } from './execution/package-progress.ts';
import { planOf, roundsOf, stoppingTicket, type PlannedStep } from './planned-steps.ts';
import type { LeftOut } from './targets.ts';

/** A task with all its machines. */
export async function taskView(store: Pick<Store, 'taskEvents' | 'tasks' | 'tickets'>, id: string): Promise<TaskView> {
  const task = await store.tasks.get(id);
  const [tickets, blockedBy, messages] = await Promise.all([
    store.tickets.byTask(id),
    store.tasks.blockers(task),
    task.endedAt === null ? store.taskEvents.lastByMachine(id) : new Map<string, MachineMessage>(),
  ]);
  const machines = machineViews(task, tickets).map((view) => {
    const message = messages.get(view.machine);
    return message !== undefined && isCurrent(message, view) ? withMessage(view, message) : view;
  });
  const isBlocked = task.startedAt === null && blockedBy.length > 0;
  const skippedSteps = skippedStepViews(task);
  return {
    ...taskSummary(task),
    machines,
    ...(skippedSteps.length > 0 ? { skippedSteps } : {}),
    ...(isBlocked ? { blockedBy } : {}),
  };
}

/** A task's row, for lists. */
export function taskSummary(task: Task): TaskSummary {
  const { id, kind, title, state, project, environment, createdBy, createdAt, startedAt, endedAt, deadlineAt } = task;
  const error = errorView(task);
  const { retryOf } = task.payload as { readonly retryOf?: string };
  return {
    kind: kind as TaskSummary['kind'],
    ...{ id, title, state, project, environment, createdBy, createdAt, startedAt, endedAt, deadlineAt },
    ...(retryOf === undefined ? {} : { retryOf }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Every planned step of every machine with its latest ticket, in order of rounds. Linear in tickets and actions. */
function machineViews(task: Task, tickets: readonly Ticket[]): TaskMachine[] {
  const latest = new Map(tickets.map((ticket) => [actionKey(ticket.step, ticket.action, ticket.target), ticket]));
  const plan = planOf(task);
  const stop = stopOf(plan, tickets);
  const machines = new Set(plan.flatMap((step) => step.machines));
  const builders = new Map([...machines].map((machine) => [machine, new MachineViewBuilder(task, machine, stop)]));
  for (const { stage, parts } of roundsOf(plan)) {
    for (const { index, step, actions, machines: own } of parts) {
      for (const machine of own) {
        const builder = builders.get(machine)!;
        for (const action of actions) {
          const at = { ...(stage === undefined ? {} : { stage }), step: step.name, action };
          const known = latest.get(actionKey(index, action, machine));
          if (known === undefined) builder.addPlanned(at);
          else builder.add(stepView(at, known));
        }
      }
    }
  }
  const { leftOut = [] } = task.payload as { readonly leftOut?: readonly LeftOut[] };
  return [
    ...[...builders.values()].map((builder) => builder.view()),
    ...leftOut.map(({ machine, reason }) => ({ machine, state: 'skipped' as const, steps: [], leftOut: reason })),
  ];
}

function skippedStepViews(task: Task): SkippedStep[] {
  return planOf(task).flatMap(({ name, skipped }) => (skipped === undefined ? [] : { step: name, reason: skipped }));
}

/** Unique, because neither a number nor a machine's id contains a space. */
function actionKey(step: number, action: string, machine: string): string {
  return `${step} ${machine} ${action}`;
}

/** Why no machine goes on, where a step that one machine runs for all did not succeed. */
function stopOf(plan: readonly PlannedStep[], tickets: readonly Ticket[]): Stop | undefined {
  const ticket = stoppingTicket(plan, tickets);
  // Then the task's own end says why.
  if (ticket === undefined || ticket.state === 'cancelled') return undefined;
  const { name } = plan[ticket.step]!;
  return afterFailureOf(`${stepLabel(name, ticket.action)} on ${ticket.target}`, ticket.state);
}

type Stop = ReturnType<typeof afterFailureOf>;
type StepAt = Pick<TaskStep, 'stage' | 'step' | 'action'>;

/** One machine's steps, and the states among them. */
class MachineViewBuilder {
  readonly #task: Task;
  readonly #machine: string;
  readonly #stop: Stop | undefined;
  readonly #steps: TaskStep[] = [];
  readonly #states = new Set<TicketState>();
  /** The step after which the machine gets no further ones. */
  #last: TaskStep | undefined;
  /** Whether planned steps never ran. */
  #isIncomplete = false;

  constructor(task: Task, machine: string, stop: Stop | undefined) {
    this.#task = task;
    this.#machine = machine;
    this.#stop = stop;
  }

  /** Adds a step that has a ticket. */
  add(step: TaskStep): void {
    this.#steps.push(step);
    this.#states.add(step.state);
    if (LEAVING.includes(step.state)) this.#last ??= step;
  }

  /** Adds a step that has none: it is still to come, or never runs. */
  addPlanned(at: StepAt): void {
    if (this.#last === undefined && this.#stop === undefined && this.#task.endedAt === null) {
      this.add(withoutTicket(at, 'pending'));
      return;
    }
    this.#isIncomplete = true;
    this.#steps.push({ ...withoutTicket(at, 'skipped'), ...this.#whyNot() });
  }

  #whyNot(): Pick<TaskStep, 'error'> {
    const last = this.#last;
    const { errorCode, errorDetail } =
      last === undefined ? (this.#stop ?? this.#task) : afterFailureOf(stepLabel(last.step, last.action), last.state);
    const error = errorView({ errorCode: errorCode ?? null, errorDetail: errorDetail ?? null });
    return error === undefined ? {} : { error };
  }

  view(): TaskMachine {
    const states = new Set(this.#states);
    // Its task was cut short, and leaves it in the state in which it ended.
    const cut = this.#stop === undefined ? CUT_SHORT.find((state) => state === this.#task.state) : undefined;
    if (this.#isIncomplete && this.#last === undefined) states.add(cut ?? 'skipped');
    return { machine: this.#machine, state: machineState(states), steps: this.#steps };
  }
}

/** `web/acquire` */
export function stepLabel(step: string, action: string): string {
  return step === action ? step : `${step}/${action}`;
}

/** The machines on which not every planned action succeeded. */
export function unsuccessfulMachines(task: Task, tickets: readonly Ticket[]): string[] {
  const succeeded = tickets.filter(({ state }) => state === 'succeeded');
  const done = new Set(succeeded.map(({ step, action, target }) => actionKey(step, action, target)));
  const missing = new Set<string>();
  for (const [step, { actions, machines }] of planOf(task).entries()) {
    for (const machine of machines) {
      if (!actions.every((action) => done.has(actionKey(step, action, machine)))) missing.add(machine);
    }
  }
  return [...missing];
}

/** The machines on which every planned action succeeded. */
export function successfulMachines(task: Task, tickets: readonly Ticket[]): string[] {
  const unsuccessful = new Set(unsuccessfulMachines(task, tickets));
  const planned = new Set(planOf(task).flatMap(({ machines }) => machines));
  return [...planned].filter((machine) => !unsuccessful.has(machine));
}

function stepView(at: StepAt, ticket: Ticket): TaskStep {
  const { id, executor, state, exitCode, signal, startedAt, endedAt } = ticket;
  const detail = ticket.detail as TaskStep['detail'];
  const error = errorView(ticket);
  return {
    ...at,
    ...{ ticket: id, executor, state, exitCode, signal, startedAt, endedAt, detail },
    ...(error === undefined ? {} : { error }),
  };
}

function withoutTicket(at: StepAt, state: 'pending' | 'skipped'): TaskStep {
  const nothing = { ticket: null, executor: null, startedAt: null, endedAt: null, detail: null };
  return { ...at, state, exitCode: null, signal: null, ...nothing };
}

/** With what blocks the machine, or with the progress of what it fetches. */
function withMessage(view: TaskMachine, { data, ...message }: MachineMessage): TaskMachine {
  if (!isPackageProgress(data)) return { ...view, message };
  const steps = view.steps.map((step) => (step.ticket === message.ticket ? { ...step, progress: data } : step));
  return { ...view, steps, message };
}

/** Whether a message still describes what the machine does now. */
function isCurrent({ ticket }: MachineMessage, { state, steps }: TaskMachine): boolean {
  if (!IN_PROGRESS.includes(state)) return false;
  return ticket === null || steps.some((step) => step.ticket === ticket && step.endedAt === null);
}

const IN_PROGRESS: readonly TicketState[] = ['pending', 'sent', 'running'];
/** States after which a machine gets no further steps, the worst first. */
const LEAVING: readonly TicketState[] = ['interrupted', 'failed', 'timed_out', 'cancelled', 'skipped'];

/** The ends of a task that say something of a machine that had steps to come; `interrupted` is about another one. */
const CUT_SHORT = ['cancelled', 'failed', 'timed_out'] as const;

/** The worst end of its steps, else its progress. */
function machineState(states: ReadonlySet<TicketState>): TicketState {
  const worst = LEAVING.find((state) => states.has(state));
  if (worst !== undefined) return worst;
  if (states.size === 0) return 'skipped';
  const [only] = states;
  return states.size === 1 && (only === 'succeeded' || only === 'pending') ? only : 'running';
}

function errorView(row: {
  readonly errorCode: string | null;
  readonly errorDetail: string | null;
  readonly errorHop?: string | null;
}): TaskError | undefined {
  const { errorCode: code, errorDetail: detail, errorHop: hop } = row;
  if (code === null) return undefined;
  return hop === null || hop === undefined ? { code, detail } : { code, detail, hop };
}
