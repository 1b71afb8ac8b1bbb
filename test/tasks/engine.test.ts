// Claiming, lanes and leases, with runners that do nothing but wait to be told.
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/log.ts';
import type { TaskKind } from '../../server/store/repositories/tasks.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import type { TaskContext } from '../../server/tasks/context.ts';
import { createTaskEngine, type EngineTunables, type TaskEngine } from '../../server/tasks/engine.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { whenAborted } from '../../lib/waiting.ts';
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
  engine(node: string, tunables?: Partial<EngineTunables>): TaskEngine;
  add(kind: TaskKind, project?: string): Promise<string>;
}

async function bench(): Promise<Bench> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  const writer = createWriter(store);
  const begun: TaskContext[] = [];
  const finish = new Map<string, () => void>();
  const runner = {
    async run(context: TaskContext) {
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
  const runners = { script: runner, health: runner, deployment: runner };
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
    engine(nodeId, tunables = {}) {
      const engine = createTaskEngine({
        store,
        writer,
        runners,
        log: silentLogger(),
        nodeId,
        pollEveryMs: 20,
        ...tunables,
      });
      engines.push(engine);
      return engine;
    },
    add: (kind, project) =>
      addTask(store, { kind, project: project ?? null, deadlineAt: Date.now() + 60_000, createdAt: Date.now() }),
  };
}

it('keeps to its concurrency and gives a second project its share before the backlog of the first', async () => {
  const b = await bench();
  for (let n = 0; n < 20; n += 1) await b.add('script', 'big');
  b.engine('server-1', { workConcurrency: 4 });
  await waitFor(() => b.begun.length === 4);
  const small = await b.add('script', 'small');
  b.finish.get(b.begun[0]!.task.id)!();
  await waitFor(() => b.begun.length === 5);
  expect(b.begun[4]!.task.id).toBe(small);
});

it('checks health in a lane of its own while work piles up', async () => {
  const b = await bench();
  for (let n = 0; n < 5; n += 1) await b.add('script');
  b.engine('server-1', { workConcurrency: 2 });
  await waitFor(() => b.begun.length === 2);
  const health = await b.add('health');
  await waitFor(() => b.begun.some(({ task }) => task.id === health));
  expect(b.begun.filter(({ task }) => task.kind === 'script')).toHaveLength(2);
});

it('claims again, with the next epoch, what the owner no longer renews; the stale owner changes nothing', async () => {
  const b = await bench();
  const id = await b.add('script');
  const stale = b.engine('server-1', { leaseMs: 200, renewEveryMs: 3_600_000, pollEveryMs: 3_600_000 });
  await waitFor(() => b.begun.length === 1);
  b.engine('server-2', { leaseMs: 60_000 });
  await waitFor(() => b.begun.length === 2);
  expect(b.begun.map(({ fence }) => fence.epoch)).toEqual([1, 2]);
  await expect(b.begun[0]!.note('from the past')).rejects.toThrow('no longer run here');
  expect(b.begun[0]!.halt.aborted).toBe(true);
  await waitFor(() => stale.running === 0);
  expect(await b.store.tasks.get(id)).toMatchObject({ state: 'running', leaseOwner: 'server-2', epoch: 2 });
  b.finish.get(id)!();
  expect((await ended(b.store, id)).state).toBe('succeeded');
  const texts = (await b.store.notes.stream(id, 0, 100)).map(({ text }) => text);
  expect(texts).toEqual(['queued', 'running', 'resumed by server-2', 'succeeded']);
});

it('renews its leases for as long as it works', async () => {
  const b = await bench();
  const id = await b.add('script');
  b.engine('server-1', { leaseMs: 1_500, renewEveryMs: 100 });
  await waitFor(() => b.begun.length === 1);
  b.engine('server-2');
  const first = (await b.store.tasks.get(id)).leaseUntil!;
  await waitFor(async () => (await b.store.tasks.get(id)).leaseUntil! > first + 1_500);
  expect(b.begun).toHaveLength(1);
});

it('ends a cancelled task that has not begun, also when an older deployment holds it up', async () => {
  const b = await bench();
  b.engine('server-1');
  const older = await addTask(b.store, deployment());
  const waiting = await addTask(b.store, deployment());
  await waitFor(() => b.begun.length === 1);
  expect(await b.store.tasks.blockers(await b.store.tasks.get(waiting))).toEqual([older]);
  await b.store.transaction((tx) => cancelTask(tx, waiting, 'key-1'));
  expect((await ended(b.store, waiting)).state).toBe('cancelled');
  expect((await b.store.tasks.get(older)).state).toBe('running');
});

it('ends a task whose deadline passes while an older deployment holds it up', async () => {
  const b = await bench();
  b.engine('server-1');
  await addTask(b.store, deployment());
  const waiting = await addTask(b.store, { ...deployment(), deadlineAt: Date.now() + 300 });
  expect((await ended(b.store, waiting)).state).toBe('timed_out');
  expect(b.begun.map(({ finishReason }) => finishReason)).toEqual([undefined, 'deadline']);
});

let made = 0;

/** Each is younger than the one before, also within a millisecond. */
function deployment() {
  made += 1;
  const createdAt = Date.now() + made;
  const deadlineAt = createdAt + 60_000;
  return { kind: 'deployment' as const, project: 'shop', environment: 'prod', deadlineAt, createdAt };
}
