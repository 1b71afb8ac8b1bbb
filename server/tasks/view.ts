// What readers see of a task: its row, and per machine every step with its state; steps still to come included.
import type { Task as TaskView, TaskError, TaskMachine, TaskStep, TaskSummary } from '../../contract/tasks.ts';
import type { Task } from '../store/repositories/tasks.ts';
import type { MachineNote } from '../store/repositories/task-stream.ts';
import type { Ticket, TicketState } from '../store/repositories/tickets.ts';
import type { Store } from '../store/store.ts';

/** A step of a deployment's plan, as its payload keeps it. */
export interface PlannedStep {
  readonly name: string;
  readonly actions: readonly string[];
  readonly machines: readonly string[];
}

/** A task with all its machines. */
export async function taskView(store: Pick<Store, 'notes' | 'tasks' | 'tickets'>, id: string): Promise<TaskView> {
  const task = await store.tasks.get(id);
  const [tickets, blockedBy, notes] = await Promise.all([
    store.tickets.byTask(id),
    store.tasks.blockers(task),
    task.endedAt === null ? store.notes.lastByMachine(id) : new Map<string, MachineNote>(),
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
    ...{ id, kind, title, state, project, environment, createdBy, createdAt, startedAt, endedAt, deadlineAt },
    ...(retryOf === undefined ? {} : { retryOf }),
    ...(error === undefined ? {} : { error }),
  };
}

function machineViews(task: Task, tickets: readonly Ticket[]): TaskMachine[] {
  const plan = planOf(task);
  const views = new Map<string, TaskStep[]>();
  for (const [index, { name, actions, machines }] of plan.entries()) {
    for (const machine of machines) {
      const steps = views.get(machine) ?? [];
      views.set(machine, steps);
      for (const action of actions) {
        const known = tickets.findLast((t) => t.step === index && t.action === action && t.machine === machine);
        if (known !== undefined) steps.push(stepView(name, known));
        // A step that has no ticket when the task has ended never came to be: nothing to show.
        else if (task.endedAt === null && !hasLeft(steps)) steps.push(planned(name, action));
      }
    }
  }
  return [...views].map(([machine, steps]) => ({ machine, state: machineState(steps), steps }));
}

/** The machines for which the task did not do all that it was to do. */
export function unsuccessfulMachines(task: Task, tickets: readonly Ticket[]): string[] {
  const missing = new Set<string>();
  for (const [step, { actions, machines }] of planOf(task).entries()) {
    for (const machine of machines) {
      const own = tickets.filter((ticket) => ticket.step === step && ticket.machine === machine);
      const done = (action: string) => own.some((ticket) => ticket.action === action && ticket.state === 'succeeded');
      if (!actions.every(done)) missing.add(machine);
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
  const { id, action, state, exitCode, startedAt, endedAt } = ticket;
  const detail = ticket.detail as TaskStep['detail'];
  const error = errorView(ticket);
  return {
    ...{ step, action, ticket: id, state, exitCode, startedAt, endedAt, detail },
    ...(error === undefined ? {} : { error }),
  };
}

function planned(step: string, action: string): TaskStep {
  const nothing = { ticket: null, exitCode: null, startedAt: null, endedAt: null, detail: null };
  return { step, action, state: 'pending', ...nothing };
}

function hasLeft(steps: readonly TaskStep[]): boolean {
  return steps.some(({ state }) => bad.includes(state) || state === 'skipped');
}

/** Whether a note still tells of what a machine is at. */
function isOfNow({ ticket }: MachineNote, { state, steps }: TaskMachine): boolean {
  if (!underWay.includes(state)) return false;
  return ticket === null || steps.some((step) => step.ticket === ticket && step.endedAt === null);
}

const underWay: readonly TicketState[] = ['pending', 'sent', 'running'];
const bad: readonly TicketState[] = ['interrupted', 'failed', 'timed_out', 'cancelled'];

/** The worst end of its steps, else how far it is. */
function machineState(steps: readonly TaskStep[]): TicketState {
  const states = steps.map(({ state }) => state);
  const worst = bad.find((state) => states.includes(state)) ?? (states.includes('skipped') ? 'skipped' : undefined);
  if (worst !== undefined) return worst;
  if (states.every((state) => state === 'succeeded')) return states.length === 0 ? 'skipped' : 'succeeded';
  if (states.every((state) => state === 'pending')) return 'pending';
  return 'running';
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
