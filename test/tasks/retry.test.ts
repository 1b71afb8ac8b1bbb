// Retries: a new task with tickets of its own, on the machines where the first did not succeed, and nowhere else.
import { expect, it } from 'vitest';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { createProject, replaceProcess } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { retryTask } from '../../server/tasks/retry.ts';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import { submitScript } from '../../server/scripts/script-task.ts';
import { cancelTask } from '../../server/tasks/submit.ts';
import { taskView } from '../../server/tasks/view.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

function retry(h: Harness, id: string) {
  return h.store.transaction((tx) => retryTask(tx, h.kinds, id, actor));
}

async function script(h: Harness, body: string, machines: readonly string[], deadlineS = 600): Promise<string> {
  return (await h.store.transaction((tx) => submitScript(tx, { body, machines, deadlineS, timeLimitS: 60 }, actor))).id;
}

it('runs an interrupted script again with a new ticket, only where it did not succeed', async () => {
  const h = await startHarness();
  const good = await h.machine('web-1');
  const lost = await h.machine('web-2');
  const id = await script(h, 'say x\nhold', ['web-1', 'web-2']);
  await waitFor(() => good.scripts.size === 1 && lost.scripts.size === 1);
  good.script.proceed();
  lost.script.phase = 'INTERRUPTED';
  lost.script.changed();
  expect((await h.ended(id)).state).toBe('interrupted');

  const again = await retry(h, id);
  expect(again.id).not.toBe(id);
  await waitFor(() => lost.starts.length === 2);
  lost.scripts.get(lost.starts[1]!)!.proceed();
  expect(await h.ended(again.id)).toMatchObject({ state: 'succeeded', title: 'script on web-2' });
  expect(new Set(lost.starts).size).toBe(2);
  expect(good.starts).toHaveLength(1);
  // The same request: body, limits and the time it is given.
  const [first, second] = lost.starts.map((ticket) => lost.scripts.get(ticket)!.payload);
  expect(second).toMatchObject({ body: first!.body, timeLimitS: 60, isolation: first!.isolation });
  expect(again.deadlineAt - again.createdAt).toBe(600_000);
  // The first task is what it was; the new one names it, and so do the audit events.
  expect((await h.store.tasks.get(id)).state).toBe('interrupted');
  expect(await taskView(h.store, again.id)).toMatchObject({ retryOf: id, machines: [{ machine: 'web-2' }] });
  const { items } = await h.store.events.list({ type: 'task.retried', limit: 10 });
  expect(items).toMatchObject([{ actor, subject: id, data: { by: again.id } }]);
  const created = await h.store.events.list({ type: 'task.created', subject: again.id, limit: 10 });
  expect(created.items).toMatchObject([{ data: { retryOf: id, machines: ['web-2'] } }]);
});

it('deploys the same release again, all of it, where it did not succeed', async () => {
  const h = await startHarness();
  const fakes = new Map<string, Awaited<ReturnType<Harness['machine']>>>();
  for (const id of ['web-1', 'web-2', 'web-3']) fakes.set(id, await h.machine(id, { roles: ['web'] }));
  const step = (name: string, body: string) => ({
    ...{ name, kind: 'script', targetRoles: ['web'] },
    script: { interpreter: 'bash', body },
  });
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id: 'shop' }, actor);
    await replaceProcess(tx, h.steps, { id: 'shop', version: 1 }, [step('one', 'hold'), step('two', 'say two')], actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const request = { project: 'shop', release: '1.0.0', environment: 'prod', unreachable: 'skip' as const };
  const { id } = await h.store.transaction((tx) => submitDeployment(tx, h, request, actor));
  const proceedOn = (machine: string) => fakes.get(machine)!.script.proceed();
  await waitFor(() => [...fakes.values()].every(({ scripts }) => scripts.size === 1));
  fakes.get('web-2')!.script.exitCode = 1;
  for (const machine of fakes.keys()) proceedOn(machine);
  expect(await h.ended(id)).toMatchObject({ state: 'failed', errorDetail: 'failed on web-2' });
  // A later release does not change what is retried.
  await h.store.transaction((tx) => createRelease(tx, h.steps, 'shop', { version: '1.0.1' }, actor));

  const again = await retry(h, id);
  expect(again).toMatchObject({ kind: 'deployment', title: 'shop 1.0.0 to prod', payload: { unreachable: 'skip' } });
  const fake = fakes.get('web-2')!;
  await waitFor(() => fake.starts.length === 2);
  fake.scripts.get(fake.starts[1]!)!.proceed();
  expect((await h.ended(again.id)).state).toBe('succeeded');
  expect([...fakes.values()].map(({ starts }) => starts.length)).toEqual([2, 3, 2]);
  const { items } = await h.store.deployments.list({ project: 'shop' }, { limit: 10 });
  expect(items.map(({ task }) => task)).toEqual([again.id, id]);
});

it('includes a machine that never reached its later steps', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1');
  const steps = [
    { name: 'one', kind: 'script', targetRoles: [], script: { interpreter: 'bash', body: 'hold' } },
    { name: 'two', kind: 'script', targetRoles: [], script: { interpreter: 'bash', body: 'say two' } },
  ];
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id: 'shop' }, actor);
    await replaceProcess(tx, h.steps, { id: 'shop', version: 1 }, steps, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const two = await h.machine('web-2');
  const request = { project: 'shop', release: '1.0.0', environment: 'prod' };
  const deployment = await h.store.transaction((tx) => submitDeployment(tx, h, request, actor));
  await waitFor(() => one.starts.length === 1 && two.starts.length === 1);
  // web-1 is done with the first step when the cancel comes; it has no ticket of the second.
  one.script.proceed();
  await waitFor(async () =>
    (await h.store.tickets.byTask(deployment.id)).some(
      ({ target, state }) => target === 'web-1' && state === 'succeeded',
    ),
  );
  await h.store.transaction((tx) => cancelTask(tx, deployment.id, actor));
  expect((await h.ended(deployment.id)).state).toBe('cancelled');
  const again = await retry(h, deployment.id);
  expect(again.payload).toMatchObject({ steps: [{ machines: ['web-1', 'web-2'] }, { machines: ['web-1', 'web-2'] }] });
});

it('leaves out machines that accept no work any more, says so, and is rejected when none is left', async () => {
  const h = await startHarness();
  for (const machine of ['web-1', 'web-2']) await h.machine(machine);
  const id = await script(h, 'exit 1', ['web-1', 'web-2']);
  expect((await h.ended(id)).state).toBe('failed');
  await h.store.transaction((tx) => tx.nodes.revoke('web-1', Date.now()));
  const again = await retry(h, id);
  expect(again.payload).toMatchObject({ machines: ['web-2'] });
  expect((await h.ended(again.id)).state).toBe('failed');
  const entries = await h.store.taskEvents.stream(again.id, 0, 100);
  const text = 'web-1: left out (revoked)';
  expect(entries).toContainEqual(expect.objectContaining({ kind: 'message', level: 'warning', text }));
  await h.store.transaction((tx) => tx.nodes.revoke('web-2', Date.now()));
  await expect(retry(h, id)).rejects.toMatchObject({ code: 'NO_TARGETS' });
});

it('checks the health of machines again that were not healthy', async () => {
  const h = await startHarness();
  const one = await h.machine('web-1');
  await h.machine('web-2');
  await one.away();
  const check = await h.store.transaction((tx) => submitHealthCheck(tx, { machines: ['web-1', 'web-2'] }, actor));
  expect((await h.ended(check.id)).state).toBe('failed');
  await one.listen();
  const again = await retry(h, check.id);
  expect(await h.ended(again.id)).toMatchObject({ state: 'succeeded', payload: { machines: ['web-1'] } });
});

it('rejects a second retry while the first, or a retry of it, is open: nothing is run or written', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const failed = async (id: string, start: number) => {
    await waitFor(() => fake.starts.length === start);
    const script = fake.scripts.get(fake.starts[start - 1]!)!;
    script.exitCode = 1;
    script.proceed();
    expect((await h.ended(id)).state).toBe('failed');
  };
  const id = await script(h, 'hold', ['web-1']);
  await failed(id, 1);
  const second = await retry(h, id);
  await waitFor(() => fake.starts.length === 2);
  await expect(retry(h, id)).rejects.toMatchObject({
    code: 'RETRY_IN_PROGRESS',
    message: expect.stringContaining(second.id) as unknown,
  });
  await failed(second.id, 2);
  // A retry of the retry keeps the first task's machines busy, too.
  const third = await retry(h, second.id);
  for (const earlier of [id, second.id]) {
    await expect(retry(h, earlier)).rejects.toMatchObject({ code: 'RETRY_IN_PROGRESS' });
  }
  await failed(third.id, 3);
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toHaveLength(3);
  expect((await h.store.events.list({ type: 'task.retried', limit: 10 })).items).toHaveLength(2);
  // None is open any more: any of them may be retried.
  const fourth = await retry(h, id);
  await failed(fourth.id, 4);
});

it('runs nothing again that a retry has done: neither from the first task, nor from a retry of it', async () => {
  const h = await startHarness();
  const fakes = [await h.machine('web-1'), await h.machine('web-2')];
  const end = async (id: string, exitCodes: readonly (number | undefined)[]) => {
    for (const [index, exitCode] of exitCodes.entries()) {
      if (exitCode === undefined) continue;
      const script = await waitFor(() => [...fakes[index]!.scripts.values()].find(({ ended }) => !ended));
      script.exitCode = exitCode;
      script.proceed();
    }
    return (await h.ended(id)).state;
  };
  const first = await script(h, 'hold', ['web-1', 'web-2']);
  expect(await end(first, [1, 1])).toBe('failed');
  const second = await retry(h, first);
  expect(await end(second.id, [0, 1])).toBe('failed');
  // Only where neither has succeeded.
  const third = await retry(h, first);
  expect(third.payload).toMatchObject({ machines: ['web-2'] });
  await expect(retry(h, second.id)).rejects.toMatchObject({ code: 'RETRY_IN_PROGRESS' });
  expect(await end(third.id, [undefined, 0])).toBe('succeeded');
  for (const [id, by] of [
    [first, [second.id, third.id]],
    [second.id, [third.id]],
  ] as const) {
    const rejection = await retry(h, id).catch((thrown: unknown) => thrown as { code: string; message: string });
    expect(rejection).toMatchObject({ code: 'TASK_NOT_RETRYABLE' });
    for (const task of by) expect((rejection as { message: string }).message).toContain(task);
  }
  expect(fakes.map(({ starts }) => starts.length)).toEqual([2, 3]);
});

it('accepts one of many concurrent retries', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const id = await script(h, 'exit 1', ['web-1']);
  expect((await h.ended(id)).state).toBe('failed');
  const results = await Promise.allSettled(Array.from({ length: 5 }, () => retry(h, id)));
  const accepted = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value.id] : []));
  expect(accepted).toHaveLength(1);
  const rejected = results.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  expect(rejected).toEqual(Array(4).fill(expect.objectContaining({ code: 'RETRY_IN_PROGRESS' })));
  await h.ended(accepted[0]!);
  expect(fake.starts).toHaveLength(2);
});

it('rejects a task that is open, that has succeeded, or that is purged, and changes nothing', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  const rejected = { code: 'TASK_NOT_RETRYABLE' };
  const open = await script(h, 'hold', ['web-1']);
  await waitFor(() => fake.scripts.size === 1);
  await expect(retry(h, open)).rejects.toMatchObject(rejected);
  fake.script.proceed();
  expect((await h.ended(open)).state).toBe('succeeded');
  await expect(retry(h, open)).rejects.toMatchObject(rejected);
  const failed = await script(h, 'exit 1', ['web-1']);
  expect((await h.ended(failed)).state).toBe('failed');
  await waitFor(() => h.store.transaction((tx) => tx.retention.purge(failed, 100)));
  await expect(retry(h, failed)).rejects.toMatchObject(rejected);
  await expect(retry(h, 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toHaveLength(2);
  expect((await h.store.events.list({ type: 'task.retried', limit: 10 })).items).toEqual([]);
});
