// Retention: old data of ended tasks is deleted completely and in small steps, except what is deployed now.
import { expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { purgeDenials, purgePassingEvents, purgeTasks } from '../../server/operations/retention.ts';
import type { NewEvent } from '../../server/store/events/events.ts';
import type { EndState } from '../../contract/tasks.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { taskView } from '../../server/tasks/view.ts';
import { addTask, claim, lines } from '../store/samples.ts';
import { tempDir } from '../support/temp.ts';

async function emptyStore(): Promise<Store> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  return store;
}

interface Given {
  readonly endedAt?: number;
  readonly state?: EndState;
  readonly logLines?: number;
  readonly payload?: object;
}

/** A task with a ticket, a log and notes; it has ended unless there is no `endedAt`. */
async function addOld(store: Store, { endedAt, state = 'succeeded', logLines = 3, payload = {} }: Given = {}) {
  const task = await addTask(store, { kind: 'deployment', project: 'shop', environment: 'prod', payload });
  const fence = await claim(store);
  const ticket = newId();
  await store.transaction(async (tx) => {
    const row = { id: ticket, step: 0, action: 'script', target: 'm-1', executor: 'm-1', attempt: 1, createdAt: 2000 };
    await tx.tickets.insert(fence, [row]);
    await tx.logLines.append(fence, ticket, 1, lines(1, logLines));
    await tx.taskEvents.append(task, { at: 2000, text: 'a note' }, fence.epoch);
    if (endedAt !== undefined) await tx.tasks.end(fence, { state, now: endedAt });
  });
  return { task, ticket };
}

async function left(store: Store, { task, ticket }: { task: string; ticket: string }) {
  const stream = await store.taskEvents.stream(task, 0, 10_000);
  const log = await store.logLines.read(ticket, 0, 10_000);
  return { entries: stream.length > 0, log: log.length, tickets: (await store.tickets.byTask(task)).length };
}

const nothing = { entries: false, log: 0, tickets: 0 };
const all = { entries: true, log: 3, tickets: 1 };

const healthChanged = (at: number): NewEvent => ({
  ...{ actor: 'a', type: 'machine.health-changed', subject: 'web-1', at },
  data: { from: 'healthy', to: 'unhealthy', hop: null, reasons: [] },
});

it('deletes old health changes, and no other event', async () => {
  const store = await emptyStore();
  const deleted = (at: number): NewEvent => ({ actor: 'a', type: 'site.deleted', subject: 'eu', data: {}, at });
  for (let at = 0; at < 2_500; at += 1) {
    await store.transaction((tx) => tx.events.append(at % 2 === 0 ? healthChanged(at) : deleted(at)));
  }
  await store.transaction((tx) => tx.events.append(healthChanged(5_000)));
  await purgePassingEvents(store, 4_000, new AbortController().signal);
  const left = await store.events.list({ limit: 5_000 });
  expect(left.items.filter(({ type }) => type === 'site.deleted')).toHaveLength(1_250);
  expect(left.items.filter(({ type }) => type !== 'site.deleted').map(({ at }) => at)).toEqual([5_000]);
});

it('keeps health changes that a subscription has not read', async () => {
  const store = await emptyStore();
  for (const at of [1, 2, 3]) await store.transaction((tx) => tx.events.append(healthChanged(at)));
  await store.subscriptions.add({ name: 'slow', position: 2 });
  await purgePassingEvents(store, 4_000, new AbortController().signal);
  expect((await store.events.list({ limit: 10 })).items.map(({ at }) => at)).toEqual([3]);
});

it('deletes old denials', async () => {
  const store = await emptyStore();
  const now = Date.now();
  for (let n = 0; n < 2_500; n += 1) {
    await store.denials.append({ actor: 'a', type: 'download.denied', subject: 's', data: { code: 'FORBIDDEN' } });
  }
  await purgeDenials(store, now, new AbortController().signal);
  expect((await store.denials.list({ limit: 5_000 })).items).toHaveLength(2_500);
  await purgeDenials(store, Date.now() + 1, new AbortController().signal);
  expect((await store.denials.list({ limit: 5_000 })).items).toEqual([]);
});

it('deletes the data of old tasks in small steps, and keeps the tasks', async () => {
  const store = await emptyStore();
  const old = await addOld(store, { endedAt: 5_000, logLines: 95 });
  const other = await addOld(store, { endedAt: 5_000, state: 'failed' });
  const young = await addOld(store, { endedAt: 50_000 });
  const running = await addOld(store);
  const { signal } = new AbortController();
  await purgeTasks(store, 10_000, { signal, rowsPerStep: 10, stepsPerRun: 3 });
  expect((await left(store, old)).log).toBe(65);
  await purgeTasks(store, 10_000, { signal, rowsPerStep: 10 });
  expect(await left(store, old)).toEqual(nothing);
  expect(await left(store, other)).toEqual(nothing);
  expect(await left(store, young)).toEqual(all);
  expect(await left(store, running)).toEqual(all);
  expect((await store.tasks.get(old.task)).state).toBe('succeeded');
});

it('deletes the request of an old task, and keeps which task it retried', async () => {
  const store = await emptyStore();
  const payload = { machines: ['m-1'], body: 'x'.repeat(10_000) };
  const first = await addOld(store, { endedAt: 5_000, payload });
  const again = await addOld(store, { endedAt: 5_000, payload: { ...payload, retryOf: first.task } });
  const young = await addOld(store, { endedAt: 50_000, payload });
  const { signal } = new AbortController();
  await purgeTasks(store, 10_000, { signal });
  const payloads = await Promise.all(
    [first, again, young].map(async ({ task }) => (await store.tasks.get(task)).payload),
  );
  expect(payloads).toEqual([{}, { retryOf: first.task }, payload]);
  expect(await store.retention.candidates(10_000, undefined)).toMatchObject({ tasks: [] });
  expect(await taskView(store, again.task)).toMatchObject({ retryOf: first.task, machines: [] });
});

it('keeps the last successful deployment and those after it', async () => {
  const store = await emptyStore();
  await store.transaction(async (tx) => {
    await tx.environments.insert({ id: 'prod', name: '', description: '', createdAt: 1 });
    await tx.projects.insert({ id: 'shop', name: '', description: '', process: [], createdAt: 1 });
    const release = { id: 'r-1', project: 'shop', version: '1', notes: '', process: [], packages: [], variables: [] };
    await tx.releases.insert({ ...release, versionKey: '1.0.0', createdAt: 1 });
  });
  const made = [];
  for (const [index, state] of (['succeeded', 'failed', 'succeeded', 'failed'] as const).entries()) {
    const old = await addOld(store, { endedAt: 5_000, state });
    const where = { project: 'shop', release: 'r-1', version: '1', environment: 'prod' };
    await store.deployments.insert({ id: newId(), ...where, task: old.task, createdAt: 1000 + index });
    made.push(old);
  }
  await purgeTasks(store, 10_000, { signal: new AbortController().signal });
  const kept = await Promise.all(made.map((each) => left(store, each)));
  expect(kept).toEqual([nothing, nothing, all, all]);
});

it('walks over more tasks than one page', async () => {
  const store = await emptyStore();
  await store.transaction(async (tx) => {
    for (let index = 0; index < 230; index += 1) {
      const row = {
        title: '',
        payload: {},
        concurrencyKey: null,
        project: null,
        environment: null,
        deadlineS: 1,
        createdBy: 'x',
        createdAt: 1,
      };
      await tx.tasks.insert({ id: `t-${index}`, kind: 'script', ...row });
      await tx.tasks.claimNext({ owner: 'server-1', leaseMs: 1, now: 2 });
      await tx.tasks.end({ task: `t-${index}`, epoch: 1 }, { state: 'succeeded', now: 20_000 });
    }
  });
  const old = await addOld(store, { endedAt: 5_000 });
  await purgeTasks(store, 10_000, { signal: new AbortController().signal });
  expect(await left(store, old)).toEqual(nothing);
});
