// Deployments through the whole engine: steps in order on all their machines, packages by their actions, one deployment
// per project and environment at a time.
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { submitDeployment, type DeploymentRequest } from '../../server/deployments/deployments.ts';
import { createProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { createVariable } from '../../server/projects/variables.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { taskView } from '../../server/tasks/view.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const script = (body: string) => ({ interpreter: 'bash', body });

const webStep = {
  name: 'web',
  kind: 'package',
  targetRoles: ['web'],
  package: { id: 'shop.web' },
  preDeploy: script('say pre'),
  postDeploy: script('say post'),
  substituteIn: ['config/*.json'],
};
/** Where the package step installs on web-1. */
const onWeb1 = { machine: 'web-1', project: 'shop', environment: 'prod', step: 'web' };
const checkStep = { name: 'check', kind: 'script', targetRoles: [], script: script('say check') };

async function project(h: Harness, steps: unknown[] = [webStep, checkStep], id = 'shop'): Promise<void> {
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id }, actor);
    await replaceProcess(tx, h.steps, { id, version: 1 }, steps, actor);
  });
}

async function push(h: Harness, version: string): Promise<void> {
  await h.store.transaction((tx) =>
    tx.packages.insert({
      id: 'shop.web',
      idKey: 'shop.web',
      version,
      versionKey: version,
      sha256: version.replaceAll('.', '').padEnd(64, '0'),
      sizeBytes: 1000,
      format: 'tar.gz',
      publishedAt: Date.now(),
    }),
  );
}

async function release(h: Harness, version: string, id = 'shop'): Promise<void> {
  await h.store.transaction((tx) => createRelease(tx, h.steps, id, { version }, actor));
}

async function deploy(h: Harness, more: Partial<DeploymentRequest> = {}): Promise<string> {
  const request = { project: 'shop', release: '1.0.0', environment: 'prod', ...more };
  return (await h.store.transaction((tx) => submitDeployment(tx, h, request, actor))).id;
}

async function shop(h: Harness): Promise<void> {
  await project(h);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
}

it('acquires, stages, runs pre, activates, runs post, then runs the next step', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1', { roles: ['web'] });
  const two = await h.machine('db-1', { roles: ['db'] });
  await shop(h);
  const id = await deploy(h);
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(one.packageCalls).toEqual(['acquire', 'stage', 'activate', 'settle'].map((call) => `${call} shop.web 1.0.0`));
  expect(two.packageCalls).toEqual([]);
  const bodies = [...one.scripts.values()].map(({ payload }) => [payload.body, payload.installation]);
  const installation = { project: 'shop', environment: 'prod', step: 'web' };
  expect(bodies).toEqual([
    ['say pre', installation],
    ['say post', installation],
    ['say check', null],
  ]);
  expect(two.starts).toHaveLength(1);
  const view = await taskView(h.store, id);
  expect(view.machines.map(({ machine, state }) => [machine, state])).toEqual([
    ['web-1', 'succeeded'],
    ['db-1', 'succeeded'],
  ]);
  const acquired = view.machines[0]!.steps[0]!;
  expect(acquired).toMatchObject({
    step: 'web',
    action: 'acquire',
    detail: { from: 'mirror-eu', bytes: 1000, cached: false },
  });
  expect(await h.store.installed.find(onWeb1)).toMatchObject({
    version: '1.0.0',
    succeededAt: expect.any(Number) as number,
  });
  const { items } = await h.store.events.list({ subject: id, limit: 100 });
  expect(items.map(({ type }) => type)).toEqual([
    'task.created',
    'deployment.created',
    'task.started',
    'deployment.started',
    'task.ended',
    'deployment.ended',
  ]);
});

it('deploys an older release again: that is the rollback', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await shop(h);
  await push(h, '1.1.0');
  await release(h, '1.1.0');
  for (const version of ['1.0.0', '1.1.0', '1.0.0']) {
    expect((await h.ended(await deploy(h, { release: version }))).state).toBe('succeeded');
  }
  expect(fake.packageCalls.filter((call) => call.startsWith('activate'))).toEqual([
    'activate shop.web 1.0.0',
    'activate shop.web 1.1.0',
    'activate shop.web 1.0.0',
  ]);
  expect(await h.store.installed.find(onWeb1)).toMatchObject({
    version: '1.0.0',
    succeededAt: expect.any(Number) as number,
  });
});

it('continues without a machine that fails; the others finish, and the deployment has failed', async () => {
  const h = await startHarness();
  const good = await h.machine('web-1', { roles: ['web'] });
  const bad = await h.machine('web-2', { roles: ['web'] });
  bad.failAcquire = 'PACKAGE_HASH_MISMATCH';
  await shop(h);
  const id = await deploy(h);
  expect(await h.ended(id)).toMatchObject({
    state: 'failed',
    errorCode: 'MACHINES_FAILED',
    errorDetail: 'failed on web-2',
  });
  expect(good.starts).toHaveLength(3);
  expect(bad.starts).toEqual([]);
  const view = await taskView(h.store, id);
  expect(view.machines[1]!.steps.map(({ action, state }) => [action, state])).toEqual([
    ['acquire', 'failed'],
    ['stage', 'skipped'],
    ['pre', 'skipped'],
    ['activate', 'skipped'],
    ['post', 'skipped'],
    ['settle', 'skipped'],
    ['script', 'skipped'],
  ]);
  const because = { code: 'EARLIER_STEP_FAILED', detail: 'web/acquire: failed' };
  expect(view.machines[1]!.steps.slice(1).map(({ error }) => error)).toEqual(Array(6).fill(because));
  expect(view.machines[1]!.steps[0]!.error).toMatchObject({ code: 'PACKAGE_HASH_MISMATCH', hop: 'web-2' });
});

it('switches nothing when a signal ends preDeploy', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await project(h, [{ ...webStep, preDeploy: script('kill 35') }]);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
  const id = await deploy(h);
  expect(await h.ended(id)).toMatchObject({ state: 'failed' });
  const { steps } = (await taskView(h.store, id)).machines[0]!;
  expect(steps.find(({ action }) => action === 'pre')).toMatchObject({ state: 'failed', exitCode: 163, signal: 35 });
  expect(fake.packageCalls.filter((call) => call.startsWith('activate'))).toEqual([]);
});

it('runs one deployment per project and environment at a time, the older first', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await project(h, [{ ...checkStep, script: script('hold') }]);
  await release(h, '1.0.0');
  const first = await deploy(h);
  const second = await deploy(h);
  await waitFor(() => fake.scripts.size === 1);
  expect((await taskView(h.store, second)).blockedBy).toEqual([first]);
  expect((await taskView(h.store, first)).blockedBy).toBeUndefined();
  expect((await h.store.tasks.get(second)).state).toBe('queued');
  fake.script.proceed();
  expect((await h.ended(first)).state).toBe('succeeded');
  await waitFor(() => fake.scripts.size === 2);
  [...fake.scripts.values()][1]!.proceed();
  expect((await h.ended(second)).state).toBe('succeeded');
});

it('continues where it was when the server is restarted in the middle', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await project(h, [{ ...webStep, preDeploy: script('hold') }, checkStep]);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
  const id = await deploy(h);
  await waitFor(() => fake.scripts.size === 1);
  await h.restart();
  fake.script.proceed();
  expect(await h.ended(id)).toMatchObject({ state: 'succeeded', epoch: 2 });
  expect(fake.starts).toHaveLength(3);
  expect(fake.packageCalls).toHaveLength(4);
});

it('stops before the next step when it is cancelled', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await project(h, [{ ...webStep, preDeploy: script('hold') }, checkStep]);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
  const id = await deploy(h);
  await waitFor(() => fake.scripts.size === 1);
  await h.store.transaction((tx) => cancelTask(tx, id, actor));
  expect((await h.ended(id)).state).toBe('cancelled');
  expect(fake.packageCalls).toEqual(['acquire shop.web 1.0.0', 'stage shop.web 1.0.0']);
  expect(await h.store.installed.find(onWeb1)).toBeUndefined();
});

it('skips an unreachable machine on request, and the others start the next step in time', async () => {
  const h = await startHarness();
  const here = await h.machine('web-1', { roles: ['web'] });
  const gone = await h.machine('web-2', { roles: ['web'] });
  await gone.away();
  await shop(h);
  const id = await deploy(h, { unreachable: 'skip', deadlineS: 3 });
  expect((await h.ended(id)).state).toBe('succeeded');
  expect(here.starts).toHaveLength(3);
  const view = await taskView(h.store, id);
  expect(view.machines.map(({ machine, state }) => [machine, state])).toEqual([
    ['web-1', 'succeeded'],
    ['web-2', 'skipped'],
  ]);
  expect(view.machines[1]!.steps[0]!.error).toMatchObject({ code: 'UNREACHABLE', hop: 'web-2' });

  // What was left out can be tried again, although the deployment has succeeded.
  await gone.listen();
  const again = await h.store.transaction((tx) => retryTask(tx, h.kinds, id, actor));
  expect((await h.ended(again.id)).state).toBe('succeeded');
  expect([here.starts.length, gone.starts.length]).toEqual([3, 3]);
});

it('has failed when every machine was skipped', async () => {
  const h = await startHarness();
  const gone = await h.machine('web-1', { roles: ['web'] });
  await gone.away();
  await shop(h);
  const id = await deploy(h, { unreachable: 'skip', deadlineS: 2 });
  const detail = 'every machine was left out: web-1';
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorCode: 'MACHINES_FAILED', errorDetail: detail });
});

it('gives scripts their variables and masks the sensitive ones, even when the tentacle does not', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await project(h, [{ ...checkStep, script: script('say the password is $DB_PASSWORD') }]);
  await h.store.transaction(async (tx) => {
    await createVariable(tx, h.sealer, 'shop', { name: 'Db.Password', value: 'hunter22!', sensitive: true }, actor);
    await createVariable(tx, h.sealer, 'shop', { name: 'Db.Url', value: 'db://app:#{Db.Password}@db-1' }, actor);
  });
  await release(h, '1.0.0');
  const id = await deploy(h);
  expect((await h.ended(id)).state).toBe('succeeded');
  const { payload, ticket } = fake.script;
  expect(payload.env).toEqual({
    DB_PASSWORD: 'hunter22!',
    DB_URL: 'db://app:hunter22!@db-1',
    ISTHMUS_ENVIRONMENT: 'prod',
    ISTHMUS_MACHINE: 'web-1',
    ISTHMUS_PROJECT: 'shop',
    ISTHMUS_RELEASE: '1.0.0',
    ISTHMUS_STEP: 'check',
    ISTHMUS_TASK: id,
  });
  expect([...payload.sensitiveValues].sort()).toEqual(['db://app:hunter22!@db-1', 'hunter22!']);
  expect(await h.texts(ticket)).toEqual(['the password is ********']);
  const copy = `${h.dataDir}/copy.db`;
  await h.store.copyTo(copy);
  expect((await readFile(copy)).includes('hunter22!')).toBe(false);
});

it('masks what a tentacle reports about the end of a script before it truncates it', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', { roles: ['web'] });
  await project(h, [{ ...checkStep, script: script('hold') }]);
  const variable = { name: 'Db.Password', value: 'hunter22!', sensitive: true };
  await h.store.transaction((tx) => createVariable(tx, h.sealer, 'shop', variable, actor));
  await release(h, '1.0.0');
  const id = await deploy(h);
  await waitFor(() => fake.scripts.size === 1);
  fake.script.errorDetail = `${'p'.repeat(1_020)}hunter22!`;
  fake.script.proceed();
  await h.ended(id);
  const [ticket] = await h.store.tickets.byTask(id);
  expect(ticket?.errorDetail).toBe(`${'p'.repeat(1_020)}****`);
});

it('names the steps that no machine takes, and why', async () => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await h.machine('db-1', { roles: ['db'] });
  const step = (name: string, role: string) => ({ ...checkStep, name, targetRoles: [role] });
  await project(h, [step('seed', 'nope'), step('migrate', 'db'), checkStep]);
  await release(h, '1.0.0');
  await h.store.transaction(async (tx) => {
    const { version } = await tx.machines.get('db-1');
    await tx.machines.update('db-1', version, { disabled: true });
  });
  const id = await deploy(h);
  expect((await h.ended(id)).state).toBe('succeeded');
  const skippedSteps = [
    { step: 'seed', reason: 'no machine in prod has the role nope' },
    { step: 'migrate', reason: 'left out: db-1 (disabled)' },
  ];
  expect(await taskView(h.store, id)).toMatchObject({ skippedSteps });
  const messages = (await h.store.taskEvents.stream(id, 0, 100)).filter(({ kind }) => kind === 'message');
  expect(messages.map((message) => 'text' in message && message.text)).toContain(
    `step seed: ${skippedSteps[0]!.reason}`,
  );
});

it('names the machines that it leaves out, and why', async () => {
  const h = await startHarness();
  const fakes = new Map<string, Awaited<ReturnType<Harness['machine']>>>();
  for (const id of ['web-1', 'web-2', 'web-3']) fakes.set(id, await h.machine(id, { roles: ['web'] }));
  await h.machine('db-1', { roles: ['db'] });
  await project(h, [webStep]);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
  const disable = async (id: string, disabled: boolean) => {
    await h.store.transaction(async (tx) => {
      const { version } = await tx.machines.get(id);
      await tx.machines.update(id, version, { disabled });
    });
  };
  for (const id of ['web-2', 'web-3', 'db-1']) await disable(id, true);
  await h.store.transaction((tx) => tx.nodes.revoke('web-3', Date.now()));
  const id = await deploy(h);
  expect((await h.ended(id)).state).toBe('succeeded');
  expect((await taskView(h.store, id)).machines).toMatchObject([
    { machine: 'web-1', state: 'succeeded' },
    { machine: 'web-2', state: 'skipped', leftOut: 'disabled', steps: [] },
    { machine: 'web-3', state: 'skipped', leftOut: 'revoked', steps: [] },
  ]);
  const messages = (await h.store.taskEvents.stream(id, 0, 100)).filter(({ kind }) => kind === 'message');
  expect(messages).toContainEqual(
    expect.objectContaining({ level: 'warning', text: 'left out: web-2 (disabled), web-3 (revoked)' }),
  );
  expect([...fakes.values()].map(({ packageCalls }) => packageCalls.length > 0)).toEqual([true, false, false]);

  await disable('web-1', true);
  await expect(deploy(h)).rejects.toMatchObject({
    code: 'NO_TARGETS',
    message: 'every machine in prod with the role web is left out: web-1 (disabled), web-2 (disabled), web-3 (revoked)',
    action: { code: 'ENABLE_MACHINE', arguments: { machine: 'web-1' } },
  });
});

it('shows the steps that never ran, and why, when its time is over', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1');
  const two = await h.machine('web-2');
  await project(h, [
    { ...checkStep, script: script('hold') },
    { ...checkStep, name: 'second' },
  ]);
  await release(h, '1.0.0');
  const id = await deploy(h, { deadlineS: 2 });
  await waitFor(() => one.scripts.size === 1 && two.scripts.size === 1);
  one.script.proceed();
  const waiting = await deploy(h, { deadlineS: 1 });
  expect(await h.ended(waiting)).toMatchObject({
    state: 'timed_out',
    errorCode: 'TASK_DEADLINE',
    errorDetail: `the deadline passed before it started: it waited for ${id}`,
  });
  expect(await h.ended(id)).toMatchObject({ state: 'timed_out', errorCode: 'TASK_DEADLINE' });
  const shown = async (task: string) =>
    (await taskView(h.store, task)).machines.map(({ machine, state, steps }) => [
      machine,
      state,
      steps.map(({ step, state: of, error }) => [step, of, error?.code]),
    ]);
  expect(await shown(id)).toEqual([
    [
      'web-1',
      'timed_out',
      [
        ['check', 'succeeded', undefined],
        ['second', 'skipped', 'TASK_DEADLINE'],
      ],
    ],
    [
      'web-2',
      'timed_out',
      [
        ['check', 'timed_out', 'TASK_DEADLINE'],
        ['second', 'skipped', 'EARLIER_STEP_FAILED'],
      ],
    ],
  ]);
  const never = [
    'timed_out',
    [
      ['check', 'skipped', 'TASK_DEADLINE'],
      ['second', 'skipped', 'TASK_DEADLINE'],
    ],
  ];
  expect(await shown(waiting)).toEqual([
    ['web-1', ...never],
    ['web-2', ...never],
  ]);
});

it('warns of machines that have a role of the steps but are in no environment', async () => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await h.machine('web-2', { roles: ['web'], environments: [] });
  await h.machine('db-2', { roles: ['db'], environments: [] });
  await shop(h);
  const noted = async (id: string): Promise<object[]> =>
    (await h.store.taskEvents.stream(id, 0, 100)).filter(({ text }) => text.includes('in no environment'));
  const all = await deploy(h);
  expect(await noted(all)).toMatchObject([
    {
      text: 'not deployed to, because in no environment: web-2',
      data: {
        remedy: 'Put each of them into an environment, or disable it.',
        action: { code: 'SET_ENVIRONMENTS', arguments: { machines: 'web-2' } },
      },
    },
  ]);
  expect((await h.ended(all)).state).toBe('succeeded');
  await h.machine('web-3', { roles: ['web'], environments: [] });
  const both = await deploy(h);
  expect(await noted(both)).toMatchObject([
    {
      text: 'not deployed to, because in no environment: web-2, web-3',
      data: { action: { code: 'SET_ENVIRONMENTS', arguments: { machines: 'web-2,web-3' } } },
    },
  ]);
  expect((await h.ended(both)).state).toBe('succeeded');
  const named = await deploy(h, { machines: ['web-1'] });
  expect(await noted(named)).toEqual([]);
  expect((await h.ended(named)).state).toBe('succeeded');
});

it('rejects at once what cannot work: no targets, undefined variables, unknown releases', async () => {
  const h = await startHarness();
  await h.machine('db-1', { roles: ['db'] });
  await project(h, [webStep]);
  await push(h, '1.0.0');
  await release(h, '1.0.0');
  await expect(deploy(h)).rejects.toMatchObject({ code: 'NO_TARGETS' });
  await h.machine('web-1', { roles: ['web'] });
  await expect(deploy(h, { release: '9.9.9' })).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'release' });
  await expect(deploy(h, { environment: 'moon' })).rejects.toMatchObject({
    code: 'INVALID_FIELD',
    field: 'environment',
  });
  await h.store.transaction((tx) =>
    createVariable(tx, h.sealer, 'shop', { name: 'Url', value: 'http://#{Host}' }, actor),
  );
  await release(h, '1.0.1');
  await expect(deploy(h, { release: '1.0.1' })).rejects.toMatchObject({
    code: 'VARIABLE_UNDEFINED',
    field: 'Host',
    action: { code: 'SET_VARIABLE', arguments: { project: 'shop', variable: 'Host' } },
  });
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toEqual([]);
  // The older release has the variables it was created with.
  expect((await h.ended(await deploy(h))).state).toBe('succeeded');
});

/** Each twice as long as the next. */
function doubling(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`V${n}`, `#{V${n + 1}}#{V${n + 1}}`]));
}

it.each<[string, Record<string, string>]>([
  ['VARIABLE_CYCLE', { A: '#{B}', B: '#{A}' }],
  ['VARIABLE_TOO_LARGE', Object.fromEntries(Array.from({ length: 53 }, (_, n) => [`V${n}`, `#{V${n + 1}}`]))],
  ['VARIABLE_TOO_LARGE', { ...doubling(30), V30: 'end' }],
])('rejects at once variables with %s, and does nothing', async (code, variables) => {
  const h = await startHarness();
  await h.machine('web-1', { roles: ['web'] });
  await project(h, [webStep]);
  await push(h, '1.0.0');
  await h.store.transaction(async (tx) => {
    for (const [name, value] of Object.entries({ V53: 'end', ...variables })) {
      await createVariable(tx, h.sealer, 'shop', { name, value }, actor);
    }
  });
  await release(h, '1.0.0');
  const before = await h.store.events.list({ limit: 200 });
  await expect(deploy(h)).rejects.toMatchObject({ code });
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toEqual([]);
  expect(await h.store.events.list({ limit: 200 })).toEqual(before);
});

it('does not deploy to a machine that has left the environment since', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1');
  const two = await h.machine('web-2');
  await project(h, [
    { ...checkStep, script: script('hold') },
    { ...checkStep, name: 'second' },
  ]);
  await release(h, '1.0.0');
  const id = await deploy(h);
  await waitFor(() => one.scripts.size === 1 && two.scripts.size === 1);
  await h.store.transaction(async (tx) => {
    const { version } = await tx.machines.get('web-2');
    await tx.machines.update('web-2', version, { environments: [] });
  });
  one.script.proceed();
  two.script.proceed();
  expect((await h.ended(id)).state).toBe('failed');
  expect(two.starts).toHaveLength(1);
  const tickets = await h.store.tickets.byTask(id);
  expect(tickets.find(({ step, target }) => step === 1 && target === 'web-2')).toMatchObject({
    errorCode: 'SCOPE_MISMATCH',
  });
});

it.each([
  ['was disabled', { disabled: true }],
  ['left the environment', { environments: [] }],
])('follows a script to its end on a machine that %s while it ran and the server was down', async (_, change) => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await project(h, [
    { ...checkStep, script: script('say before\nhold') },
    { ...checkStep, name: 'second' },
  ]);
  await release(h, '1.0.0');
  const id = await deploy(h);
  await waitFor(() => fake.scripts.size === 1);
  await h.store.transaction(async (tx) => {
    const { version } = await tx.machines.get('web-1');
    await tx.machines.update('web-1', version, change);
  });
  await h.restart();
  fake.script.proceed();
  expect((await h.ended(id)).state).toBe('failed');
  const tickets = await h.store.tickets.byTask(id);
  expect(tickets.map(({ state }) => state)).toEqual(['succeeded', 'failed']);
  expect(await h.texts(tickets[0]!.id)).toContain('before');
  expect(fake.starts).toHaveLength(1);
});
