// The three stages of a deployment: steps before acquisition, then every package on every machine, then the other steps.
import { expect, it } from 'vitest';
import { submitDeployment, type DeploymentRequest } from '../../server/deployments/deployments.ts';
import { deploymentTraits, planSteps } from '../../server/deployments/plan.ts';
import { createProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { createVariable } from '../../server/projects/variables.ts';
import { cancelTask, submitTask } from '../../server/tasks/submit.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { taskView } from '../../server/tasks/view.ts';
import type { FakeTentacle } from '../support/fake-tentacle.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const script = (name: string, body: string, more: object = {}) => {
  return { name, kind: 'script', targetRoles: ['web'], script: { interpreter: 'bash', body }, ...more };
};
const before = { stage: 'beforeAcquisition' };
const openVpn = script('open-vpn', 'say open', { ...before, targetRoles: [], machine: 'gateway-1' });
const pkg = (id: string) => ({ name: id, kind: 'package', targetRoles: ['web'], package: { id } });

/** A project with these steps, its packages, and release 1.0.0. */
async function shop(h: Harness, steps: { kind: string; name: string }[]): Promise<void> {
  await h.store.transaction(async (tx) => {
    for (const [index, { name: id }] of steps.filter(({ kind }) => kind === 'package').entries()) {
      await tx.packages.insert({
        ...{ id, idKey: id, version: '1.0.0', versionKey: '1.0.0' },
        ...{ sha256: `${index}`.repeat(64), sizeBytes: 1000, format: 'tar.gz', publishedAt: Date.now() },
      });
    }
    await createProject(tx, h.steps, { id: 'shop', steps }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
}

async function deploy(h: Harness, more: Partial<DeploymentRequest> = {}): Promise<string> {
  const request = { project: 'shop', release: '1.0.0', environment: 'prod', ...more };
  return (await h.store.transaction((tx) => submitDeployment(tx, h, request, actor))).id;
}

/** What its scripts were, in order. */
const bodies = (fake: FakeTentacle) => [...fake.scripts.values()].map(({ payload }) => payload.body);
const acquires = (fake: FakeTentacle) => fake.packageCalls.filter((call) => call.startsWith('acquire'));

it('fetches every package on every machine after the steps before it, and before any other step', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1', { roles: ['web'] });
  const two = await h.machine('web-2', { roles: ['web'] });
  await shop(h, [script('mount', 'hold', before), pkg('app'), script('migrate', 'say migrate'), pkg('assets')]);
  two.stalls.add('acquire');
  const id = await deploy(h);
  await waitFor(() => one.scripts.size === 1 && two.scripts.size === 1);
  one.script.proceed();
  await waitFor(async () => (await h.store.tickets.byTask(id)).some(({ state }) => state === 'succeeded'));
  // One machine is still in the step before acquisition.
  expect([one.packageCalls, two.stalled]).toEqual([[], 0]);
  two.script.proceed();
  await waitFor(() => two.stalled === 1 && acquires(one).length === 2);
  await waitFor(async () => {
    const own = (await h.store.tickets.byTask(id)).filter(({ target }) => target === 'web-1');
    return own.length === 3 && own.every(({ state }) => state === 'succeeded');
  });
  // No step begins while one machine still fetches.
  expect(one.packageCalls).toEqual(['acquire app 1.0.0', 'acquire assets 1.0.0']);
  expect(bodies(one)).toEqual(['hold']);
  const during = (await taskView(h.store, id)).machines[0]!.steps;
  expect(during.map(({ stage, step, action, state }) => [stage, step, action, state])).toEqual([
    ['beforeAcquisition', 'mount', 'script', 'succeeded'],
    ['acquisition', 'app', 'acquire', 'succeeded'],
    ['acquisition', 'assets', 'acquire', 'succeeded'],
    ...['stage', 'activate', 'settle'].map((action) => ['steps', 'app', action, 'pending']),
    ['steps', 'migrate', 'script', 'pending'],
    ...['stage', 'activate', 'settle'].map((action) => ['steps', 'assets', action, 'pending']),
  ]);
  two.stalls.clear();
  two.cut();
  expect((await h.ended(id)).state).toBe('succeeded');
  const stages = (await h.store.taskEvents.stream(id, 0, 1_000)).flatMap((entry) =>
    entry.kind === 'message' && entry.data !== null && 'stage' in entry.data ? [[entry.text, entry.data.stage]] : [],
  );
  expect(stages).toEqual([
    ['stage: before acquisition', 'beforeAcquisition'],
    ['stage: acquisition', 'acquisition'],
    ['stage: steps', 'steps'],
  ]);
  for (const fake of [one, two]) {
    expect(bodies(fake)).toEqual(['hold', 'say migrate']);
    expect(fake.packageCalls).toEqual(
      ['acquire app', 'acquire assets', 'stage app', 'activate app', 'settle app']
        .concat(['stage assets', 'activate assets', 'settle assets'])
        .map((call) => `${call} 1.0.0`),
    );
  }
});

it('tells in the log how each package came', async () => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await shop(h, [pkg('app')]);
  const id = await deploy(h);
  await h.ended(id);
  const told = (await h.store.taskEvents.stream(id, 0, 100)).find(({ text }) => text.startsWith('web-1: app'));
  expect(told).toMatchObject({
    text: expect.stringMatching(/^web-1: app 1\.0\.0: 1000 B in \d+\.\d s \(.+\/s\) from mirror-eu$/) as string,
    data: { acquired: { package: 'app', version: '1.0.0', from: 'mirror-eu', bytes: 1000, cached: false } },
  });
});

it('goes on without a machine whose acquisition fails, which runs no step and fetches nothing more', async () => {
  const h = await startHarness();
  const good = await h.machine('web-1', { roles: ['web'] });
  const bad = await h.machine('web-2', { roles: ['web'] });
  bad.failAcquire = 'PACKAGE_HASH_MISMATCH';
  await shop(h, [script('first', 'say first'), pkg('app'), pkg('assets')]);
  const id = await deploy(h);
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorDetail: 'failed on web-2' });
  expect(bodies(good)).toEqual(['say first']);
  expect([bad.packageCalls, bad.starts]).toEqual([[], []]);
  const [, { steps } = { steps: [] }] = (await taskView(h.store, id)).machines;
  const because = { code: 'EARLIER_STEP_FAILED', detail: 'app/acquire: failed' };
  expect(steps.map(({ state, error }) => [state, error])).toEqual([
    ['failed', expect.objectContaining({ code: 'PACKAGE_HASH_MISMATCH' })],
    ...Array<unknown>(8).fill(['skipped', because]),
  ]);
});

it('goes on without a machine that gives no answer for half of its time', async () => {
  const h = await startHarness();
  const here = await h.machine('web-1', { roles: ['web'] });
  await (await h.machine('web-2', { roles: ['web'] })).away();
  await shop(h, [pkg('app'), script('check', 'say check')]);
  const id = await deploy(h, { deadlineS: 3 });
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorDetail: 'failed on web-2' });
  expect(bodies(here)).toEqual(['say check']);
  const [, gone] = (await taskView(h.store, id)).machines;
  expect(gone).toMatchObject({ state: 'failed', steps: [{ error: { code: 'UNREACHABLE' } }, {}, {}, {}, {}] });
});

it('goes on without machines that are silent in one stage after another', async () => {
  const h = await startHarness();
  const here = await h.machine('web-1', { roles: ['web'] });
  await (await h.machine('db-1', { roles: ['db'] })).away();
  await (await h.machine('web-2', { roles: ['web'] })).away();
  await shop(h, [
    script('mount', 'say mount', { ...before, targetRoles: ['db'] }),
    pkg('app'),
    script('check', 'say check'),
  ]);
  const id = await deploy(h, { deadlineS: 8 });
  expect(await h.ended(id)).toMatchObject({ state: 'failed' });
  expect(bodies(here)).toEqual(['say check']);
  expect((await taskView(h.store, id)).machines.map(({ machine, state }) => [machine, state])).toEqual([
    ['db-1', 'failed'],
    ['web-1', 'succeeded'],
    ['web-2', 'failed'],
  ]);
});

it('runs a step once, on the machine that it names, for all', async () => {
  const h = await startHarness();
  const gateway = await h.machine('gateway-1');
  const web = await h.machine('web-1', { roles: ['web'] });
  await shop(h, [openVpn, pkg('app')]);
  await h.store.transaction((tx) =>
    createVariable(tx, h.sealer, 'shop', { name: 'Tunnel', value: 'tun7', machines: ['gateway-1'] }, actor),
  );
  await h.store.transaction((tx) => createRelease(tx, h.steps, 'shop', { version: '1.1.0' }, actor));
  const id = await deploy(h, { release: '1.1.0' });
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(gateway.script.payload.env).toMatchObject({ TUNNEL: 'tun7', ISTHMUS_MACHINE: 'gateway-1' });
  expect([gateway.starts.length, gateway.packageCalls, web.starts]).toEqual([1, [], []]);
  expect(acquires(web)).toHaveLength(1);

  // It is no target, and so runs its step again for those of a retry.
  web.failAcquire = 'PACKAGE_HASH_MISMATCH';
  const failed = await deploy(h);
  expect((await h.ended(failed)).state).toBe('failed');
  web.failAcquire = undefined;
  const { id: again } = await h.store.transaction((tx) => retryTask(tx, h.kinds, failed, actor));
  expect((await h.ended(again)).state).toBe('succeeded');
  expect(gateway.starts).toHaveLength(3);
});

it('ends for all when that step fails', async () => {
  const h = await startHarness();
  await h.machine('gateway-1');
  const web = await h.machine('web-1', { roles: ['web'] });
  const failing = script('open-vpn', 'exit 3', { ...before, targetRoles: [], machine: 'gateway-1' });
  await shop(h, [failing, script('mount', 'say mount', before), pkg('app')]);
  const id = await deploy(h);
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorDetail: 'failed on gateway-1' });
  expect([web.starts, web.packageCalls]).toEqual([[], []]);
  const [gateway, other] = (await taskView(h.store, id)).machines;
  expect(gateway).toMatchObject({ machine: 'gateway-1', state: 'failed', steps: [{ exitCode: 3 }] });
  expect(other).toMatchObject({ machine: 'web-1', state: 'skipped' });
  const because = { code: 'EARLIER_STEP_FAILED', detail: 'open-vpn/script on gateway-1: failed' };
  expect(other!.steps.map(({ state, error }) => [state, error])).toEqual(Array(5).fill(['skipped', because]));
});

it('ends for all when that machine is unreachable, also where such machines are skipped', async () => {
  const h = await startHarness();
  await (await h.machine('gateway-1')).away();
  const web = await h.machine('web-1', { roles: ['web'] });
  await shop(h, [openVpn, pkg('app')]);
  const id = await deploy(h, { unreachable: 'skip', deadlineS: 2 });
  expect((await h.ended(id)).state).toBe('failed');
  expect(web.packageCalls).toEqual([]);
  const [gateway, other] = (await taskView(h.store, id)).machines;
  expect([gateway?.state, other?.state]).toEqual(['failed', 'skipped']);
  expect(gateway!.steps[0]!.error).toMatchObject({ code: 'UNREACHABLE' });
});

it('is cancelled as a whole while that step runs', async () => {
  const h = await startHarness();
  const gateway = await h.machine('gateway-1');
  await h.machine('web-1', { roles: ['web'] });
  await shop(h, [script('open-vpn', 'hold', { ...before, targetRoles: [], machine: 'gateway-1' }), pkg('app')]);
  const id = await deploy(h);
  await waitFor(() => gateway.scripts.size === 1);
  await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await h.ended(id)).state).toBe('cancelled');
  expect((await taskView(h.store, id)).machines.map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
});

it.each<[string, string, object | undefined]>([
  ['does not exist', 'INVALID_FIELD', undefined],
  ['is disabled', 'MACHINE_DISABLED', { disabled: true }],
  ['is in another environment', 'SCOPE_MISMATCH', { environments: [] }],
])('is rejected at once when the machine of a step %s', async (_, code, change) => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  if (change !== undefined) {
    await h.machine('gateway-1');
    await h.store.transaction(async (tx) => {
      const { version } = await tx.machines.get('gateway-1');
      await tx.machines.update('gateway-1', version, change);
    });
  }
  await shop(h, [openVpn, pkg('app')]);
  const message = expect.stringContaining('step open-vpn runs on gateway-1: ') as string;
  await expect(deploy(h)).rejects.toMatchObject({ code, field: 'release', message });
  expect((await h.store.tasks.list({}, { limit: 1 })).items).toEqual([]);
});

it('needs machines beside the one that a step names', async () => {
  const h = await startHarness();
  await h.machine('gateway-1');
  await shop(h, [openVpn, pkg('app')]);
  await expect(deploy(h)).rejects.toMatchObject({ code: 'NO_TARGETS' });
});

it('lets a machine of version 0.1.0 fetch each package in its step, beside one that fetches all before', async () => {
  const h = await startHarness();
  const old = await h.machine('web-1', { roles: ['web'] });
  const one = await h.machine('web-2', { roles: ['web'] });
  await h.store.transaction((tx) => tx.nodes.recordLastSeen('web-1', { softwareVersion: '0.1.0' }));
  const names = ['a', 'b', 'c', 'd', 'e'];
  await shop(h, [script('mount', 'hold', before), ...names.map(pkg)]);
  const id = await deploy(h);
  await waitFor(() => old.scripts.size === 1 && one.scripts.size === 1);
  await h.restart();
  for (const fake of [old, one]) fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  const calls = (name: string, ...actions: string[]) => actions.map((action) => `${action} ${name} 1.0.0`);
  expect(old.packageCalls).toEqual(names.flatMap((name) => calls(name, 'acquire', 'stage', 'activate', 'settle')));
  expect(one.packageCalls).toEqual([
    ...names.flatMap((name) => calls(name, 'acquire')),
    ...names.flatMap((name) => calls(name, 'stage', 'activate', 'settle')),
  ]);
  const [first, second] = (await taskView(h.store, id)).machines;
  expect(first!.steps.map(({ action, stage }) => `${action} ${stage}`).slice(0, 3)).toEqual([
    ...['script beforeAcquisition', 'acquire steps', 'stage steps'],
  ]);
  expect(second!.steps.map(({ action, stage }) => `${action} ${stage}`).slice(0, 2)).toEqual([
    ...['script beforeAcquisition', 'acquire acquisition'],
  ]);
});

it('is rejected at once where a step names no source, or pushes to a machine of version 0.1.0', async () => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await h.store.transaction((tx) => tx.nodes.recordLastSeen('web-1', { softwareVersion: '0.1.0' }));
  await shop(h, [pkg('app')]);
  const releaseWith = (version: string, more: object) =>
    h.store.transaction(async (tx) => {
      const project = await tx.projects.get('shop');
      await replaceProcess(tx, h.steps, project, [{ ...pkg('app'), ...more }], actor);
      await createRelease(tx, h.steps, 'shop', { version }, actor);
    });
  for (const [release, more, code] of [
    ['2.0.0', { feed: 'nowhere' }, 'INVALID_FIELD'],
    ['3.0.0', { feed: '#{Feed}' }, 'VARIABLE_UNDEFINED'],
    ['4.0.0', { push: true }, 'WIRE_VERSION'],
  ] as const) {
    await releaseWith(release, more);
    const message = expect.stringMatching(/^step app on web-1: /) as string;
    await expect(deploy(h, { release })).rejects.toMatchObject({ code, field: 'release', message });
  }
  await releaseWith('5.0.0', { feed: 'server' });
  expect((await h.ended(await deploy(h, { release: '5.0.0' }))).state).toBe('succeeded');
});

it('runs a plan of version 0.1.0 as it was accepted, each acquisition in its step, also after a restart', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  const steps = [{ ...pkg('app'), preDeploy: { interpreter: 'bash', body: 'hold' } }, pkg('assets')];
  await shop(h, steps);
  const { id } = await h.store.transaction(async (tx) => {
    const release = (await tx.releases.findVersion('shop', '1.0.0'))!;
    const machines = [{ id: 'web-1', targetRoles: ['web'], softwareVersion: '0.2.0' }];
    const planned = planSteps(release.process, h.steps, { machines });
    const payload = {
      ...{ project: 'shop', release: release.id, version: '1.0.0', environment: 'prod', unreachable: 'fail' as const },
      steps: planned.map(({ acquisition: _none, ...step }) => step),
    };
    return submitTask(tx, deploymentTraits, {
      ...{ title: 'shop 1.0.0 to prod', payload, project: 'shop', environment: 'prod' },
      ...{ deadlineS: 60, actor, event: {} },
    });
  });
  await waitFor(() => fake.scripts.size === 1);
  await h.restart();
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(fake.packageCalls).toEqual(
    ['app', 'assets'].flatMap((name) =>
      ['acquire', 'stage', 'activate', 'settle'].map((call) => `${call} ${name} 1.0.0`),
    ),
  );
  expect(fake.starts).toHaveLength(1);
  const shown = (await taskView(h.store, id)).machines[0]!.steps;
  expect(shown.map(({ stage }) => stage)).toEqual(Array(9).fill(undefined));
});
