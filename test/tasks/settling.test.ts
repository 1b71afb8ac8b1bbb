// How a package step is settled: the release is kept once all of it has succeeded, and what was installed before is put
// back when it has not.
import { expect, it } from 'vitest';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const onWeb1 = { machine: 'web-1', project: 'shop', environment: 'prod', step: 'web' };
const webStep = { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'shop.web' } };
const script = (body: string) => ({ interpreter: 'bash', body });

/** Creates a project of one package step with a release, and deploys it; returns the task's id. */
async function deploy(h: Harness, more: object, deadlineS?: number): Promise<string> {
  const deployment = await h.store.transaction(async (tx) => {
    await tx.packages.insert({
      ...{ id: 'shop.web', idKey: 'shop.web', version: '1.0.0', versionKey: '1.0.0' },
      ...{ sha256: '1'.repeat(64), sizeBytes: 1000, format: 'tar.gz', publishedAt: Date.now() },
    });
    await createProject(tx, h.steps, { id: 'shop', steps: [{ ...webStep, ...more }] }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
    return submitDeployment(tx, h, { project: 'shop', release: '1.0.0', environment: 'prod', deadlineS }, actor);
  });
  return deployment.id;
}

it('settles a package step once all of it has succeeded, and not before', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  const failed = await deploy(h, { postDeploy: script('hold') });
  await waitFor(() => [...fake.scripts.values()].some(({ payload }) => payload.body === 'hold'));
  const post = () => [...fake.scripts.values()].findLast(({ payload }) => payload.body === 'hold')!;
  const first = post();
  first.exitCode = 1;
  first.proceed();
  expect((await h.ended(failed)).state).toBe('failed');
  expect(fake.packageCalls).not.toContain('settle shop.web 1.0.0');
  expect(await h.store.installed.find(onWeb1)).toMatchObject({ version: '1.0.0', succeededAt: null });
  const { id: again } = await h.store.transaction((tx) => retryTask(tx, h.kinds, failed, actor));
  await waitFor(() => post() !== first);
  // Settling is part of the work that was sent.
  await h.store.transaction(async (tx) => {
    const { version } = await tx.machines.get('web-1');
    await tx.machines.update('web-1', version, { disabled: true });
  });
  post().proceed();
  expect((await h.ended(again)).state).toBe('succeeded');
  expect(fake.packageCalls.at(-1)).toBe('settle shop.web 1.0.0');
  expect((await h.store.installed.find(onWeb1))?.succeededAt).not.toBeNull();
});

it.each<[string, 'failed' | 'cancelled', string | undefined, string | undefined]>([
  ['a failed post-deploy script', 'failed', undefined, 'hold'],
  ['a cancel during the post-deploy script', 'cancelled', undefined, 'hold'],
  ['a failed pre-deploy script', 'failed', 'hold', undefined],
])('puts back what was installed after %s, if it was replaced', async (_, end, preDeploy, postDeploy) => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  const files = { owner: 'www', group: 'www', fileMode: '0640', folderMode: '750', installTo: '/srv/web' };
  const scripts = {
    ...(preDeploy === undefined ? {} : { preDeploy: script(preDeploy) }),
    ...(postDeploy === undefined ? {} : { postDeploy: script(postDeploy) }),
  };
  const id = await deploy(h, { ...files, ...scripts });
  await waitFor(() => fake.scripts.size === 1);
  if (end === 'cancelled') await h.store.transaction((tx) => cancelTask(tx, id, actor));
  else {
    fake.script.exitCode = 1;
    fake.script.proceed();
  }
  expect((await h.ended(id)).state).toBe(end);
  const activated = ['activate shop.web 1.0.0 to /srv/web', 'settle shop.web 1.0.0 (revert)'];
  expect(fake.packageCalls.slice(2)).toEqual(preDeploy === undefined ? activated : []);
  const settled = (await h.store.tickets.byTask(id)).find(({ action }) => action === 'settle');
  expect(settled?.state).toBe(preDeploy === undefined ? 'succeeded' : 'skipped');
});

it.each([
  ['cancel', 'cancelled', 'CANCELLED'],
  ['deadline', 'timed_out', 'TASK_DEADLINE'],
])('has the machine stop an activation at a %s, and says what is installed there', async (reason, end, code) => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  fake.stalls.add('activate');
  fake.putsBack = '/srv/web: stopped; 0.9.0 is installed again';
  const id = await deploy(h, { installTo: '/srv/web' }, reason === 'deadline' ? 3 : undefined);
  await waitFor(() => fake.stalled > 0);
  if (reason === 'cancel') await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await h.ended(id)).state).toBe(end);
  const tickets = await h.store.tickets.byTask(id);
  const activate = tickets.find(({ action }) => action === 'activate')!;
  expect(activate).toMatchObject({ state: end, errorCode: code });
  expect(tickets.find(({ action }) => action === 'settle')).toMatchObject({ state: 'succeeded' });
  expect(fake.packageCalls.at(-1)).toBe('settle shop.web 1.0.0 (revert)');
  expect(fake.cancels[0]).toBe(activate.id);
  const said = (await h.store.taskEvents.stream(id, 0, 100)).map((entry) => ('text' in entry ? entry.text : ''));
  expect(said).toContain(`web-1: not activated: ${fake.putsBack}`);
});

it.each(['at once', 'once it is back'])(
  'has the machine use up, %s, what a cancelled task had sent to it',
  async (when) => {
    const h = await startHarness();
    const fake = await h.machine('web-1', { roles: ['web'] });
    fake.stalls.add('stage');
    const id = await deploy(h, {});
    await waitFor(() => fake.stalled > 0);
    if (when === 'once it is back') await fake.away();
    await h.store.transaction((tx) => cancelTask(tx, id, actor));
    expect((await h.ended(id)).state).toBe('cancelled');
    const stage = async () => (await h.store.tickets.byTask(id)).find(({ action }) => action === 'stage')!;
    if (when === 'once it is back') {
      expect(await stage()).toMatchObject({ state: 'cancelled', completedAt: null });
      await fake.listen();
      // Its first sweep reports what is left.
      await h.restart();
    }
    await waitFor(async () => (await stage()).completedAt !== null, { what: 'the report' });
    expect(fake.cancels).toEqual([(await stage()).id]);
  },
);
