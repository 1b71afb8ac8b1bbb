// What readers see of a task: its row, and per machine every step with its state; steps still to come included.
import type { Task as TaskView, TaskError, TaskMachine, TaskStep, TaskSummary } from '../../contract/tasks.ts';
import type { Task } from '../store/tasks/tasks.ts';
import type { MachineMessage } from '../store/tasks/task-stream.ts';
import type { Ticket, TicketState } from '../store/tasks/tickets.ts';
import type { Store } from '../store/store.ts';

/** A step of a deployment's plan, as its payload keeps it. */
export interface PlannedStep {
  readonly name: string;
  readonly actions: readonly string[];
  readonly machines: readonly string[];
}

/** A task with all its machines. */
export async function taskView(store: Pick<Store, 'taskEvents' | 'tasks' | 'tickets'>, id: string): Promise<TaskView> {
  const task = await store.tasks.get(id);
  const [tickets, blockedBy, notes] = await Promise.all([
    store.tickets.byTask(id),
    store.tasks.blockers(task),
    task.endedAt === null ? store.taskEvents.lastByMachine(id) : new Map<string, MachineMessage>(),
  ]);
  const machines = machineViews(task, tickets).map((view) => {
    const note = notes.get(view.machine);
    return note !== undefined && isOfNow(note, view) ? { ...view, note } : view;
  });
  const waits = task.startedAt === null && blockedBy.length > 0;
  return { ...taskSummary(task), machines, ...(waits ? { blockedBy } : {}) };
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

/** Every planned step of every machine with its latest ticket: one look at each ticket and each planned action. */
function machineViews(task: Task, tickets: readonly Ticket[]): TaskMachine[] {
  const latest = new Map(tickets.map((ticket) => [actionKey(ticket.step, ticket.action, ticket.target), ticket]));
  const builders = new Map<string, MachineViewBuilder>();
  for (const [index, { name, actions, machines }] of planOf(task).entries()) {
    for (const machine of machines) {
      const builder = builders.get(machine) ?? new MachineViewBuilder(machine);
      builders.set(machine, builder);
      for (const action of actions) {
        const known = latest.get(actionKey(index, action, machine));
        if (known !== undefined) builder.add(stepView(name, known));
        // A step that has no ticket when the task has ended never came to be: nothing to show.
        else if (task.endedAt === null && !builder.hasLeft) builder.add(planned(name, action));
      }
    }
  }
  return [...builders.values()].map((builder) => builder.view());
}

/** Neither a number nor the id of a machine has a space in it. */
function actionKey(step: number, action: string, machine: string): string {
  return `${step} ${machine} ${action}`;
}

/** One machine's steps, and the states among them. */
class MachineViewBuilder {
  readonly #machine: string;
  readonly #steps: TaskStep[] = [];
  readonly #states = new Set<TicketState>();

  constructor(machine: string) {
    this.#machine = machine;
  }

  add(step: TaskStep): void {
    this.#steps.push(step);
    this.#states.add(step.state);
  }

  /** Whether nothing further is done on the machine. */
  get hasLeft(): boolean {
    return LEAVING.some((state) => this.#states.has(state));
  }

  view(): TaskMachine {
    return { machine: this.#machine, state: machineState(this.#states), steps: this.#steps };
  }
}

/** The machines for which the task did not do all that it was to do. */
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

function planOf(task: Task): readonly PlannedStep[] {
  const payload = task.payload as { readonly steps?: readonly PlannedStep[]; readonly machines?: readonly string[] };
  if (payload.steps !== undefined) return payload.steps;
  return [{ name: task.kind, actions: [task.kind], machines: payload.machines ?? [] }];
}

function stepView(step: string, ticket: Ticket): TaskStep {
  const { id, executor, action, state, exitCode, startedAt, endedAt } = ticket;
  const detail = ticket.detail as TaskStep['detail'];
  const error = errorView(ticket);
  return {
    ...{ step, action, ticket: id, executor, state, exitCode, startedAt, endedAt, detail },
    ...(error === undefined ? {} : { error }),
  };
}

function planned(step: string, action: string): TaskStep {
  const nothing = { ticket: null, executor: null, exitCode: null, startedAt: null, endedAt: null, detail: null };
  return { step, action, state: 'pending', ...nothing };
}

/** Whether a note still tells of what a machine is at. */
function isOfNow({ ticket }: MachineMessage, { state, steps }: TaskMachine): boolean {
  if (!UNDER_WAY.includes(state)) return false;
  return ticket === null || steps.some((step) => step.ticket === ticket && step.endedAt === null);
}

const UNDER_WAY: readonly TicketState[] = ['pending', 'sent', 'running'];
const BAD: readonly TicketState[] = ['interrupted', 'failed', 'timed_out', 'cancelled'];
const LEAVING: readonly TicketState[] = [...BAD, 'skipped'];

/** The worst end of its steps, else how far it is. */
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
