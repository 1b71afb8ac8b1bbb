// A task kind and a step kind that the product does not have, registered by a test: nothing else has to know them.
import { Type } from 'typebox';
import { expect, it } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { machinesOf, type StepHandler } from '../../server/deployments/steps/handler.ts';
import { scriptRunner } from '../../server/deployments/steps/step-script.ts';
import { STEP_FIELDS } from '../../contract/projects.ts';
import type { ProcessStep } from '../../server/store/projects/process.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { createVariable } from '../../server/projects/variables.ts';
import { runScriptTicket } from '../../server/tasks/execution/script-ticket.ts';
import { WORK_LANE, type TaskKind } from '../../server/tasks/kinds.ts';
import { taskOutcome } from '../../server/tasks/outcome.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { cancelTask, submitTask } from '../../server/tasks/submit.ts';
import { taskView } from '../../server/tasks/view.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, ticketOf, type Harness } from './harness.ts';

interface DrainStep extends ProcessStep {
  readonly seconds: number;
}

/** Takes a machine out of its load balancer, with two scripts that the step itself does not contain. */
const drain: StepHandler<DrainStep> = {
  kind: 'drain',
  schema: Type.Object({ ...STEP_FIELDS, kind: Type.Literal('drain'), seconds: Type.Integer({ maximum: 600 }) }),
  plan: (step, context) => ({ actions: ['announce', 'drain'], machines: machinesOf(step, context) }),
  actions: {
    announce: (step, context) => scriptRunner(step, { interpreter: 'bash', body: 'say announced' }, context),
    drain: (step, context) => {
      return scriptRunner(step, { interpreter: 'bash', body: `say drained for ${step.seconds} s` }, context);
    },
  },
};

const drainStep = { name: 'drain', kind: 'drain', targetRoles: ['web'], seconds: 30 };

async function drained(h: Harness) {
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id: 'shop', steps: [drainStep] }, actor);
    await createVariable(tx, h.sealer, 'shop', { name: 'Colour', value: 'red' }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const request = { project: 'shop', release: '1.0.0', environment: 'prod' };
  return h.store.transaction((tx) => submitDeployment(tx, h, request, actor));
}

it('a kind of step is checked, released, planned, run and completed by its handler alone', async () => {
  const h = await startHarness({ sweepEveryMs: 20 }, { register: ({ steps }) => steps.registerStepHandler(drain) });
  const web = await h.machine('web-1', { roles: ['web'] });
  const db = await h.machine('db-1', { roles: ['db'] });
  const wrong = h.store.transaction((tx) =>
    createProject(tx, h.steps, { id: 'other', steps: [{ ...drainStep, seconds: 601 }] }, actor),
  );
  await expect(wrong).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'steps[0].seconds' });

  const { id } = await drained(h);
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(db.starts).toEqual([]);
  const scripts = [...web.scripts.values()].map(({ payload }) => payload);
  expect(scripts.map(({ body }) => body)).toEqual(['say announced', 'say drained for 30 s']);
  expect(scripts[1]!.env).toMatchObject({ COLOUR: 'red', ISTHMUS_STEP: 'drain', ISTHMUS_MACHINE: 'web-1' });
  const view = await taskView(h.store, id);
  expect(
    view.machines.map(({ machine, steps }) => [machine, steps.map(({ action, state }) => [action, state])]),
  ).toEqual([
    [
      'web-1',
      [
        ['announce', 'succeeded'],
        ['drain', 'succeeded'],
      ],
    ],
  ]);
  const tickets = await h.store.tickets.byTask(id);
  await waitFor(() => tickets.every((ticket) => web.completed.includes(ticket.id)));
});

it('a step whose kind is not registered any more fails its deployment with that reason', async () => {
  const h = await startHarness({}, { register: ({ steps }) => steps.registerStepHandler(drain) });
  await h.machine('web-1', { roles: ['web'] });
  const before = await startHarness();
  await before.machine('web-1', { roles: ['web'] });
  await before.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id: 'shop', steps: [drainStep] }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const request = { project: 'shop', release: '1.0.0', environment: 'prod' };
  const plan = { sealer: before.sealer, steps: h.steps };
  const { id } = await before.store.transaction((tx) => submitDeployment(tx, plan, request, actor));
  expect((await before.ended(id)).state).not.toBe('succeeded');
  const first = (await before.store.tickets.byTask(id)).find(({ action }) => action === 'announce');
  expect(first).toMatchObject({ errorDetail: 'step kind drain is not registered', startedAt: null });
});

interface AuditPayload {
  readonly machines: readonly string[];
  readonly body: string;
}

/** Inspects a machine from a worker: the executor of its tickets is not their target. */
const audit: TaskKind<AuditPayload> = {
  kind: 'audit',
  lane: { name: 'audits', concurrency: 2 },
  concurrencyKey: ({ machines }) => `audit of ${machines.join(' ')}`,
  async run(context, deps) {
    const { machines, body } = context.task.payload as AuditPayload;
    const row = { step: 0, action: 'audit', executor: 'worker-1', attempt: 1, createdAt: Date.now() };
    const rows = machines.map((target) => ({ ...row, id: newId(), target }));
    const tickets = await context.write(async (tx) => {
      await tx.tickets.insert(context.fence, rows);
      return tx.tickets.byTask(context.task.id);
    });
    const payload = { interpreter: 'bash', body, env: {}, isolation: 'shared' };
    const ended = await Promise.all(
      tickets.map((ticket) => runScriptTicket({ context, deps, ...ticket, onUnreachable: 'fail' }, ticket, payload)),
    );
    return taskOutcome({ tickets: ended, finishReason: context.finishReason, unfinished: false });
  },
  retry: (tx, { payload }, { machines, deadlineS, retryOf, actor: by }) =>
    submitTask(tx, audit, {
      ...{ title: 'again', payload: { ...(payload as AuditPayload), machines }, deadlineS, retryOf, event: {} },
      actor: by,
    }),
};

/** Cannot be retried. */
const once: TaskKind<AuditPayload> = {
  kind: 'once',
  lane: WORK_LANE,
  run: () => Promise.resolve({ state: 'failed', errorCode: 'MACHINES_FAILED' }),
};

const submit = (h: Harness, kind: TaskKind<AuditPayload>, body: string) =>
  h.store.transaction((tx) =>
    submitTask(tx, kind, { title: 'x', payload: { machines: ['db-1'], body }, deadlineS: 60, actor, event: {} }),
  );

it('a kind of task runs a ticket about one machine on another, and readers see both', async () => {
  const h = await startHarness({ sweepEveryMs: 20 }, { register: ({ kinds }) => kinds.registerTaskKind(audit) });
  // The target itself has no route.
  const target = await h.machine('db-1', { routes: [] });
  const worker = await h.machine('worker-1');
  const { id } = await submit(h, audit, 'say looked');
  expect((await h.ended(id)).state).toBe('succeeded');
  expect([target.starts.length, worker.starts.length]).toEqual([0, 1]);
  const ticket = await ticketOf(h, id);
  expect(ticket).toMatchObject({ target: 'db-1', executor: 'worker-1' });
  const view = await taskView(h.store, id);
  expect(view.machines).toMatchObject([
    { machine: 'db-1', state: 'succeeded', steps: [{ action: 'audit', executor: 'worker-1', ticket: ticket.id }] },
  ]);
  const lines = (await h.store.taskEvents.stream(id, 0, 100)).filter(({ kind }) => kind === 'log');
  expect(lines).toMatchObject([{ machine: 'db-1', text: 'looked' }]);
  await waitFor(() => worker.completed.includes(ticket.id));
});

it('reports for an unreachable executor which machine waits for it, and where the path fails', async () => {
  const h = await startHarness({}, { register: ({ kinds }) => kinds.registerTaskKind(audit) });
  await h.machine('db-1');
  const worker = await h.machine('worker-1');
  await worker.away();
  const { id } = await submit(h, audit, 'say looked');
  const message = await waitFor(async () =>
    (await h.store.taskEvents.stream(id, 0, 100)).find((entry) => entry.kind === 'message'),
  );
  expect(message).toMatchObject({ machine: 'db-1', data: { hop: 'worker-1' } });
  await worker.listen();
  expect((await h.ended(id)).state).toBe('succeeded');
});

it("a kind's tasks with the same key wait for each other, and the view says for which", async () => {
  const h = await startHarness({}, { register: ({ kinds }) => kinds.registerTaskKind(audit) });
  await h.machine('db-1');
  const worker = await h.machine('worker-1');
  const first = await submit(h, audit, 'hold');
  await waitFor(() => worker.starts.length === 1);
  const second = await submit(h, audit, 'say second');
  const third = await submit(h, audit, 'say third');
  expect((await taskView(h.store, first.id)).blockedBy).toBeUndefined();
  expect((await taskView(h.store, third.id)).blockedBy).toEqual([first.id, second.id]);
  await h.store.transaction((tx) => cancelTask(tx, second.id, actor));
  expect((await h.ended(second.id)).state).toBe('cancelled');
  expect((await taskView(h.store, third.id)).blockedBy).toEqual([first.id]);
  worker.script.proceed();
  expect((await h.ended(third.id)).state).toBe('succeeded');
  expect(worker.starts).toHaveLength(2);
});

it('a kind decides how it is retried, or that it is not', async () => {
  const h = await startHarness(
    {},
    {
      register: ({ kinds }) => kinds.registerTaskKind(audit).registerTaskKind(once),
    },
  );
  await h.machine('db-1');
  const worker = await h.machine('worker-1');
  const failed = await submit(h, audit, 'exit 1');
  expect((await h.ended(failed.id)).state).toBe('failed');
  const again = await h.store.transaction((tx) => retryTask(tx, h.kinds, failed.id, actor));
  expect(again).toMatchObject({ kind: 'audit', payload: { retryOf: failed.id, machines: ['db-1'] } });
  await h.ended(again.id);
  expect(worker.starts).toHaveLength(2);

  const gone = await submit(h, once, '');
  expect((await h.ended(gone.id)).state).toBe('failed');
  const rejected = h.store.transaction((tx) => retryTask(tx, h.kinds, gone.id, actor));
  await expect(rejected).rejects.toMatchObject({ code: 'TASK_NOT_RETRYABLE' });
});
