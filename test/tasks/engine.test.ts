// Claims, lanes and leases, with fake task kinds that only wait until the test lets them end.
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import type { TaskContext } from '../../server/tasks/context.ts';
import { createTaskEngine, type EngineTunables, type TaskEngine } from '../../server/tasks/engine.ts';
import type { TicketDeps } from '../../server/tasks/execution/machine-run.ts';
import { TaskKindRegistry, WORK_LANE, type Lane, type TaskKind } from '../../server/tasks/kinds.ts';
import { cancelTask, submitTask } from '../../server/tasks/submit.ts';
import { whenAborted } from '../../lib/async/waiting.ts';
import { createWriter, type Writer } from '../../server/tasks/writer.ts';
import { addTask } from '../store/samples.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { ended } from './harness.ts';

interface Bench {
  readonly store: Store;
  readonly writer: Writer;
  /** Tasks in the order in which they were begun, with their contexts. */
  readonly begun: TaskContext[];
  readonly finish: Map<string, () => void>;
  engine(node: string, tunables?: Partial<EngineTunables>, kinds?: TaskKindRegistry): TaskEngine;
  /** Adds a task, of kind `work` by default. */
  add(given?: Partial<Parameters<typeof addTask>[1]>): Promise<string>;
}

/** These kinds call no machine. */
const noDeps = {} as TicketDeps;

async function bench(work: Lane = WORK_LANE): Promise<Bench> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  const writer = createWriter(store);
  const begun: TaskContext[] = [];
  const finish = new Map<string, () => void>();
  const waits: Pick<TaskKind, 'run'> = {
    async run(context) {
      begun.push(context);
      await new Promise<void>((resolve) => {
        finish.set(context.task.id, resolve);
        for (const signal of [context.halt, context.finish]) whenAborted(signal, resolve);
      });
      context.halt.throwIfAborted();
      const ends = { cancel: 'cancelled', deadline: 'timed_out' } as const;
      return { state: context.finishReason === undefined ? ('succeeded' as const) : ends[context.finishReason] };
    },
  };
  const kinds = new TaskKindRegistry()
    .registerTaskKind({ kind: 'work', lane: work, ...waits })
    .registerTaskKind({ kind: 'check', lane: { name: 'checks', concurrency: 32 }, ...waits });
  const engines: TaskEngine[] = [];
  onTestFinished(async () => {
    await Promise.all(engines.map((engine) => engine.stop()));
    await store.close();
  });
  return {
    store,
    writer,
    begun,
    finish,
    engine(nodeId, tunables = {}, registered = kinds) {
      const engine = createTaskEngine({
        store,
        writer,
        kinds: registered,
        deps: noDeps,
        log: silentLogger(),
        nodeId,
        pollEveryMs: 20,
        ...tunables,
      });
      engines.push(engine);
      return engine;
    },
    add: (given) => addTask(store, { kind: 'work', deadlineS: 60, createdAt: Date.now(), ...given }),
  };
}

it('keeps to its concurrency and gives a second project its share before the backlog of the first', async () => {
  const b = await bench({ name: 'work', concurrency: 4 });
  for (let n = 0; n < 20; n += 1) await b.add({ project: 'big' });
  b.engine('server-1');
  await waitFor(() => b.begun.length === 4);
  const small = await b.add({ project: 'small' });
  b.finish.get(b.begun[0]!.task.id)!();
  await waitFor(() => b.begun.length === 5);
  expect(b.begun[4]!.task.id).toBe(small);
});

it('runs a kind of another lane while work piles up', async () => {
  const b = await bench({ name: 'work', concurrency: 2 });
  for (let n = 0; n < 5; n += 1) await b.add();
  b.engine('server-1');
  await waitFor(() => b.begun.length === 2);
  const check = await b.add({ kind: 'check' });
  await waitFor(() => b.begun.some(({ task }) => task.id === check));
  expect(b.begun.filter(({ task }) => task.kind === 'work')).toHaveLength(2);
});

it('leaves a task of a kind that is not registered to a server that knows it', async () => {
  const b = await bench();
  const unknown = await b.add({ kind: 'of-tomorrow' });
  b.engine('server-1');
  const known = await b.add();
  await waitFor(() => b.begun.length === 1);
  expect(b.begun[0]!.task.id).toBe(known);
  expect(await b.store.tasks.get(unknown)).toMatchObject({ state: 'queued', epoch: 0 });
});

it('claims again, with the next epoch, what the owner no longer renews; the stale owner changes nothing', async () => {
  const b = await bench();
  const id = await b.add();
  const stale = b.engine('server-1', { leaseMs: 200, renewEveryMs: 3_600_000, pollEveryMs: 3_600_000 });
  await waitFor(() => b.begun.length === 1);
  b.engine('server-2', { leaseMs: 60_000 });
  await waitFor(() => b.begun.length === 2);
  expect(b.begun.map(({ fence }) => fence.epoch)).toEqual([1, 2]);
  await expect(b.begun[0]!.message('from the past')).rejects.toThrow('no longer run here');
  expect(b.begun[0]!.halt.aborted).toBe(true);
  await waitFor(() => stale.running === 0);
  expect(await b.store.tasks.get(id)).toMatchObject({ state: 'running', leaseOwner: 'server-2', epoch: 2 });
  b.finish.get(id)!();
  expect((await ended(b.store, id)).state).toBe('succeeded');
  const texts = (await b.store.taskEvents.stream(id, 0, 100)).map(({ text }) => text);
  expect(texts).toEqual(['queued', 'running', 'resumed by server-2', 'succeeded']);
});

it('renews its leases for as long as it works', async () => {
  const b = await bench();
  const id = await b.add();
  b.engine('server-1', { leaseMs: 1_500, renewEveryMs: 100 });
  await waitFor(() => b.begun.length === 1);
  b.engine('server-2');
  const first = (await b.store.tasks.get(id)).leaseUntil!;
  await waitFor(async () => (await b.store.tasks.get(id)).leaseUntil! > first + 1_500);
  expect(b.begun).toHaveLength(1);
});

it('ends a cancelled task that has not begun, also when an older one of its key holds it up', async () => {
  const b = await bench();
  b.engine('server-1');
  const older = await b.add(oneByOne);
  const waiting = await b.add(oneByOne);
  await waitFor(() => b.begun.length === 1);
  expect(await b.store.tasks.blockers(await b.store.tasks.get(waiting))).toEqual([older]);
  await b.store.transaction((tx) => cancelTask(tx, waiting, 'key-1'));
  expect(await ended(b.store, waiting)).toMatchObject({ state: 'cancelled', errorCode: 'CANCELLED', startedAt: null });
  expect((await b.store.tasks.get(older)).state).toBe('running');
  expect(b.begun.map(({ task }) => task.id)).toEqual([older]);
});

it('ends a task whose deadline passes while an older one of its key holds it up, and runs nothing of it', async () => {
  const b = await bench();
  b.engine('server-1');
  const older = await b.add(oneByOne);
  const waiting = await b.add({ ...oneByOne, deadlineS: 1 });
  expect(await ended(b.store, waiting)).toMatchObject({ state: 'timed_out', errorCode: 'TASK_DEADLINE' });
  expect(b.begun.map(({ task }) => task.id)).toEqual([older]);
});

it('runs the tasks of a key one after the other, in order, however many engines there are', async () => {
  const b = await bench();
  const ids = [];
  for (let n = 0; n < 6; n += 1) ids.push(await b.add(oneByOne));
  for (const node of ['server-1', 'server-2', 'server-3']) b.engine(node);
  for (const [index, id] of ids.entries()) {
    await waitFor(() => b.begun.length === index + 1);
    expect(b.begun[index]!.task.id).toBe(id);
    b.finish.get(id)!();
  }
  await ended(b.store, ids.at(-1)!);
  expect(b.begun).toHaveLength(6);
});

it('calls a kind for the key of its tasks, and at their starts and ends', async () => {
  const b = await bench();
  const ends: string[] = [];
  const rollout: TaskKind<{ readonly ring: number }> = {
    kind: 'rollout',
    lane: WORK_LANE,
    concurrencyKey: ({ ring }) => `ring ${ring}`,
    run: () => Promise.resolve({ state: 'succeeded' }),
    onStart: async (tx, { id }, { resumed }) => {
      await tx.settings.set(`started ${id}`, String(resumed));
    },
    onEnd: async (tx, { id }, { state }) => {
      // In the transaction of the end: the task is still open in it.
      ends.push(`${state} ${(await tx.tasks.get(id)).state}`);
      await tx.settings.set(`ended ${id}`, state);
    },
  };
  const request = { title: 'ring 1', payload: { ring: 1 }, deadlineS: 60, actor: 'key-1', event: {} };
  const { id, concurrencyKey } = await b.store.transaction((tx) => submitTask(tx, rollout, request));
  expect(concurrencyKey).toBe('ring 1');
  b.engine('server-1', {}, new TaskKindRegistry().registerTaskKind(rollout));
  expect((await ended(b.store, id)).state).toBe('succeeded');
  expect([await b.store.settings.get(`started ${id}`), await b.store.settings.get(`ended ${id}`)]).toEqual([
    'false',
    'succeeded',
  ]);
  expect(ends).toContain('succeeded running');
});

it('does not register a kind twice', () => {
  const kind: TaskKind = { kind: 'a', lane: WORK_LANE, run: () => Promise.resolve({ state: 'succeeded' }) };
  const kinds = new TaskKindRegistry().registerTaskKind(kind);
  expect(() => kinds.registerTaskKind(kind)).toThrow('registered twice');
});

/** Of one concurrency key. */
const oneByOne = { concurrencyKey: 'k' };
