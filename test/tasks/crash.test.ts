// kill -9 of the server at every stage of a task: it is claimed again, the script was started once, its log is lines
// 1..N, each once.
import { expect, it } from 'vitest';
import { createProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import type { FakeTentacle } from '../support/fake-tentacle.ts';
import { waitFor } from '../support/wait.ts';
import { crashSite, type CrashSite } from './crash-site.ts';

const body = 'many 400\nhold\nmany 400\nexit 0';

/** A new server brings the task to its end: one start, lines 1..N. */
async function finishes(at: CrashSite, task: string, epoch: number): Promise<void> {
  const { idle, kill } = await at.server({ engine: true });
  await waitFor(() => at.fake.scripts.size === 1, { limitMs: 20_000, what: 'the start of the script' });
  at.fake.script.proceed();
  const ticket = at.fake.script.ticket;
  await idle();
  await waitFor(() => at.fake.completed.includes(ticket), { limitMs: 30_000, what: 'the completion' });
  await kill();
  await at.inspect(async (store) => {
    expect(await store.tasks.get(task)).toMatchObject({ state: 'succeeded', epoch });
    const lines = await store.logLines.read(ticket, 0, 10_000);
    const expected = Array.from({ length: 800 }, (_, index) => [index + 1, `line ${(index % 400) + 1}`]);
    expect(lines.map(({ line, text }) => [line, text])).toEqual(expected);
    const { items } = await store.events.list({ subject: task, type: 'task.ended', limit: 10 });
    expect(items).toHaveLength(1);
  });
  expect(at.fake.starts).toEqual([ticket]);
}

it('between the acceptance and the claim', async () => {
  const at = await crashSite();
  const { task, kill } = await at.server({ submit: body, engine: false });
  await kill();
  await finishes(at, task, 1);
});

it('after the claim, before anything was sent', async () => {
  const at = await crashSite();
  at.fake.unresponsive = true;
  const { task, kill } = await at.server({ submit: body, engine: true });
  await waitFor(() => at.fake.ignoredConnections > 0);
  await kill();
  await at.inspect(async (store) => {
    expect(await store.tasks.get(task)).toMatchObject({ state: 'running', epoch: 1 });
    const [ticket] = await store.tickets.byTask(task);
    expect(ticket).toMatchObject({ storedLine: 0, endedAt: null });
  });
  at.fake.unresponsive = false;
  await finishes(at, task, 2);
});

it('when the start was sent and its reply lost', async () => {
  const at = await crashSite();
  at.fake.loseStartReplies = 1_000_000;
  const { task, kill } = await at.server({ submit: body, engine: true });
  await waitFor(() => at.fake.starts.length > 0);
  await kill();
  at.fake.loseStartReplies = 0;
  await finishes(at, task, 2);
});

it.each([1, 3, 6])('while its log streams, after %i acknowledged batches', async (batches) => {
  const at = await crashSite();
  at.fake.batchLines = 50;
  const { task, kill } = await at.server({ submit: body, engine: true });
  await waitFor(() => at.fake.scripts.size === 1 && at.fake.script.acknowledgements.length >= batches);
  await kill();
  await finishes(at, task, 2);
});

it('again and again', async () => {
  const at = await crashSite();
  at.fake.batchLines = 20;
  const first = await at.server({ submit: body, engine: true });
  let { kill } = first;
  for (let times = 1; times <= 4; times += 1) {
    await waitFor(() => at.fake.scripts.size === 1 && at.fake.script.acknowledgements.length >= times * 4);
    await kill();
    ({ kill } = await at.server({ engine: true }));
  }
  await kill();
  const { epoch } = await at.inspect((store) => store.tasks.get(first.task));
  await finishes(at, first.task, epoch + 1);
});

/** A project with a step before acquisition and a package step, released as 1.0.0. */
async function addShop(at: CrashSite): Promise<void> {
  const script = (text: string) => ({ interpreter: 'bash', body: text });
  const mount = { name: 'mount', kind: 'script', stage: 'beforeAcquisition', script: script('hold') };
  const step = {
    name: 'web',
    kind: 'package',
    package: { id: 'web' },
    preDeploy: script('hold'),
    postDeploy: script('say up'),
  };
  const entry = { id: 'web', idKey: 'web', version: '1.0.0', versionKey: '1.0.0', sha256: 'a'.repeat(64) };
  await at.inspect((store) =>
    store.transaction(async (tx) => {
      await createProject(tx, stepHandlers(), { id: 'shop' }, 'key-1');
      await replaceProcess(tx, stepHandlers(), { id: 'shop', version: 1 }, [mount, step], 'key-1');
      await tx.packages.insert({ ...entry, sizeBytes: 10, format: 'zip', publishedAt: Date.now() });
      await createRelease(tx, stepHandlers(), 'shop', { version: '1.0.0' }, 'key-1');
    }),
  );
}

/** Lets the step before acquisition end, once it runs. */
function mounted({ scripts }: FakeTentacle): boolean {
  const [mount] = scripts.values();
  mount?.proceed();
  return mount !== undefined;
}

it.each([
  ['while a step before acquisition runs', (fake: FakeTentacle) => fake.starts.length === 1],
  ['while it fetches', (fake: FakeTentacle) => mounted(fake) && fake.stalled === 1],
  ['after the download', (fake: FakeTentacle) => mounted(fake) && fake.packageCalls.length >= 1],
  ['after staging', (fake: FakeTentacle) => mounted(fake) && fake.packageCalls.length >= 2],
  ['while the pre-deploy script runs', (fake: FakeTentacle) => mounted(fake) && fake.starts.length === 2],
])('in the middle of a deployment, %s', async (when, reached) => {
  const at = await crashSite();
  await addShop(at);
  if (when === 'while it fetches') at.fake.stalls.add('acquire');
  const { task, kill } = await at.server({ deploy: 'shop', engine: true });
  await waitFor(() => reached(at.fake));
  await kill();
  at.fake.stalls.clear();
  const second = await at.server({ engine: true });
  await waitFor(() => mounted(at.fake) && at.fake.starts.length === 2);
  for (const script of at.fake.scripts.values()) script.proceed();
  await second.idle();
  await second.kill();
  expect(at.fake.starts).toHaveLength(3);
  expect([...new Set(at.fake.packageCalls)]).toEqual(
    ['acquire', 'stage', 'activate', 'settle'].map((call) => `${call} web 1.0.0`),
  );
  await at.inspect(async (store) => {
    expect(await store.tasks.get(task)).toMatchObject({ state: 'succeeded', epoch: 2 });
    expect(
      await store.installed.find({ machine: 'web-1', project: 'shop', environment: 'prod', step: 'web' }),
    ).toMatchObject({ version: '1.0.0' });
  });
});
