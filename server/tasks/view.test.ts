// A task's view: what it shows for any plan and tickets, and that its cost is linear in them.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Task } from '../store/tasks/tasks.ts';
import type { Ticket } from '../store/tasks/tickets.ts';
import type { TaskMachine, TaskStep, TicketState } from '../../contract/tasks.ts';
import type { PlannedStep } from './planned-steps.ts';
import { taskView, unsuccessfulMachines } from './view.ts';

const states = [
  ...['pending', 'sent', 'running', 'succeeded', 'failed', 'interrupted', 'timed_out', 'cancelled', 'skipped'],
] as TicketState[];
const actions = ['acquire', 'stage', 'script'];

function ticketOf(at: Pick<Ticket, 'step' | 'action' | 'target' | 'state'>, index: number): Ticket {
  return {
    ...{ id: `ticket-${index}`, task: 'task-1', attempt: 1, exitCode: null, signal: null },
    ...{
      errorDetail: null,
      errorHop: null,
      storedLine: 0,
      detail: null,
      createdAt: 1,
      startedAt: 1,
      journalGeneration: 0,
      endedAt: null,
      completedAt: null,
    },
    errorCode: at.state === 'failed' ? 'UNREACHABLE' : null,
    ...at,
    executor: at.target,
  };
}

function taskOf(steps: readonly PlannedStep[], endedAt: number | null): Task {
  const state = endedAt === null ? 'running' : 'timed_out';
  const error = { errorCode: endedAt === null ? null : 'TASK_DEADLINE', errorDetail: null };
  const task = { id: 'task-1', kind: 'deployment', state, payload: { steps }, startedAt: 1, endedAt, ...error };
  return task as object as Task;
}

async function viewed(
  task: Task,
  tickets: readonly Ticket[],
  messages = new Map<string, object>(),
): Promise<readonly TaskMachine[]> {
  const store = {
    tasks: { get: () => Promise.resolve(task), blockers: () => Promise.resolve([]) },
    tickets: { byTask: () => Promise.resolve(tickets) },
    taskEvents: { lastByMachine: () => Promise.resolve(messages) },
  };
  return (await taskView(store as object as Parameters<typeof taskView>[0], task.id)).machines;
}

/** By the definition: each cell looks for its ticket among all of them. */
function byDefinition(task: Task, steps: readonly PlannedStep[], tickets: readonly Ticket[]) {
  const bad = ['interrupted', 'failed', 'timed_out', 'cancelled'];
  const stateOf = (of: readonly string[]): string =>
    bad.find((state) => of.includes(state)) ??
    (of.includes('skipped') || of.length === 0
      ? 'skipped'
      : (['succeeded', 'pending'].find((state) => of.every((each) => each === state)) ?? 'running'));
  const machines = [...new Set(steps.flatMap((step) => step.machines))];
  return machines.map((machine) => {
    const shown: Pick<TaskStep, 'step' | 'action' | 'ticket' | 'state'>[] = [];
    for (const [index, step] of steps.entries()) {
      for (const action of step.machines.includes(machine) ? step.actions : []) {
        const ticket = tickets.findLast((t) => t.step === index && t.action === action && t.target === machine);
        const left = shown.some(({ state }) => bad.includes(state) || state === 'skipped');
        const isToCome = task.endedAt === null && !left;
        if (ticket !== undefined) shown.push({ step: step.name, action, ticket: ticket.id, state: ticket.state });
        else shown.push({ step: step.name, action, ticket: null, state: isToCome ? 'pending' : 'skipped' });
      }
    }
    const ran = shown.filter(({ ticket, state }) => ticket !== null || state === 'pending');
    // A machine that did not leave, and has not had all its steps, ends as the task does.
    const wasCut = ran.length < shown.length && !ran.some(({ state }) => bad.includes(state) || state === 'skipped');
    const states = [...ran.map(({ state }) => state), ...(wasCut ? [task.state] : [])];
    return { machine, state: stateOf(states), steps: shown };
  });
}

const ids = fc.constantFrom('web-1', 'web-2', 'web-3', 'web-1-1');
const plans = fc.array(
  fc.record({ actions: fc.subarray(actions, { minLength: 1 }), machines: fc.uniqueArray(ids, { minLength: 1 }) }),
  { minLength: 1, maxLength: 4 },
);
const someTickets = fc.array(
  fc.record({
    step: fc.nat(3),
    action: fc.constantFrom(...actions),
    target: ids,
    state: fc.constantFrom(...states),
  }),
  { maxLength: 40 },
);

it('shows for any plan and tickets what its definition says', () =>
  fc.assert(
    fc.asyncProperty(plans, someTickets, fc.boolean(), async (plan, given, hasEnded) => {
      const steps = plan.map((step, index) => ({ ...step, name: `step ${index}` }));
      const task = taskOf(steps, hasEnded ? 9 : null);
      const tickets = given.map(ticketOf);
      const shown = (await viewed(task, tickets)).map(({ machine, state, steps: own }) => ({
        ...{ machine, state },
        steps: own.map(({ step, action, ticket, state: of }) => ({ step, action, ticket, state: of })),
      }));
      expect(shown).toEqual(byDefinition(task, steps, tickets));
    }),
  ));

it('counts machines as unsuccessful that lack a success of a planned action', () => {
  fc.assert(
    fc.property(plans, someTickets, (plan, given) => {
      const steps = plan.map((step, index) => ({ ...step, name: `step ${index}` }));
      const tickets = given.map(ticketOf);
      const succeeded = (step: number, action: string, machine: string) =>
        tickets.some((t) => t.step === step && t.action === action && t.target === machine && t.state === 'succeeded');
      const missing = steps.flatMap((step, index) =>
        step.machines.filter((machine) => !step.actions.every((action) => succeeded(index, action, machine))),
      );
      expect(unsuccessfulMachines(taskOf(steps, 9), tickets)).toEqual([...new Set(missing)]);
    }),
  );
});

/** Tickets that count how often their fields are read. */
function counted(tickets: readonly Ticket[]): { readonly tickets: readonly Ticket[]; reads: () => number } {
  let reads = 0;
  const get = (ticket: Ticket, field: keyof Ticket) => {
    reads += 1;
    return ticket[field];
  };
  return {
    tickets: tickets.map((ticket) => new Proxy(ticket, { get: get as ProxyHandler<Ticket>['get'] & {} })),
    reads: () => reads,
  };
}

it('reads each ticket equally often, however many machines and steps there are', async () => {
  const readsPerTicket = async (machines: number, steps: number): Promise<number> => {
    const names = Array.from({ length: machines }, (_, index) => `web-${index}`);
    const plan = Array.from({ length: steps }, (_, index) => ({ name: `${index}`, actions, machines: names }));
    const cells = plan.flatMap((_, step) =>
      names.flatMap((machine) => actions.map((action) => ({ step, target: machine, action }))),
    );
    const { tickets, reads } = counted(cells.map((cell, index) => ticketOf({ ...cell, state: 'succeeded' }, index)));
    await viewed(taskOf(plan, null), tickets);
    unsuccessfulMachines(taskOf(plan, 9), tickets);
    return reads() / tickets.length;
  };
  const few = await readsPerTicket(2, 2);
  expect(await readsPerTicket(40, 10)).toBe(few);
});

it.each<[Task['state'], TicketState]>([
  ['timed_out', 'timed_out'],
  ['cancelled', 'cancelled'],
  ['failed', 'failed'],
  // What is unknown is unknown of another machine.
  ['interrupted', 'skipped'],
])('of a task that is %s, a machine that had steps to come is %s', async (state, shown) => {
  const plan = [
    { name: 'one', actions: ['script'], machines: ['web-1'] },
    { name: 'two', actions: ['script'], machines: ['web-1'] },
  ];
  const tickets = [ticketOf({ step: 0, action: 'script', target: 'web-1', state: 'succeeded' }, 0)];
  const task = { ...taskOf(plan, 9), state, errorCode: 'CANCELLED', errorDetail: 'why' } as Task;
  const [machine] = await viewed(task, tickets);
  expect(machine).toMatchObject({
    state: shown,
    steps: [{ state: 'succeeded' }, { state: 'skipped', ticket: null, error: { code: 'CANCELLED', detail: 'why' } }],
  });
});

it('shows the progress of a package at the ticket that fetches it, until that has ended', async () => {
  const [actions, machines] = [['acquire', 'stage'], ['web-1']];
  const plan = [{ name: 'web', actions, machines, acquisition: 'acquire' }];
  const ticket = ticketOf({ step: 0, action: 'acquire', target: 'web-1', state: 'sent' }, 0);
  const data = { receivedBytes: 10, totalBytes: 40, bytesPerS: 5, from: 'mirror-eu' };
  const message = { at: 1, ticket: ticket.id, code: null, text: 'web-1: 25 %' };
  const messages = new Map([['web-1', { ...message, data }]]);
  const [during] = await viewed(taskOf(plan, null), [ticket], messages);
  expect(during!.message).toEqual(message);
  expect(during!.steps.map(({ stage, action, progress }) => [stage, action, progress])).toEqual([
    ['acquisition', 'acquire', data],
    ['steps', 'stage', undefined],
  ]);
  const after = { ...ticket, state: 'succeeded', endedAt: 9 } as Ticket;
  const [machine] = await viewed(taskOf(plan, null), [after], messages);
  expect([machine!.message, machine!.steps[0]!.progress]).toEqual([undefined, undefined]);
});
