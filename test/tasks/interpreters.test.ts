// Work that needs an interpreter which some machines lack: rejected by what their last health checks found.
import { expect, it } from 'vitest';
import { submitDeployment } from '../../server/deployments/deployments.ts';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import { createProject } from '../../server/projects/projects.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { actor, startHarness, submit, type Harness } from './harness.ts';

async function check(h: Harness, ...machines: string[]): Promise<void> {
  const task = await h.store.transaction((tx) => submitHealthCheck(tx, { machines }, actor));
  await h.ended(task.id);
}

it('names the machines that lack the interpreter of a script, before anything is sent', async () => {
  const h = await startHarness();
  const [bare, able, unchecked] = [await h.machine('web-1'), await h.machine('web-2'), await h.machine('web-3')];
  bare.health = { interpreters: [{ name: 'bash' }] };
  able.health = { interpreters: [{ name: 'python' }] };
  await check(h, 'web-1', 'web-2');
  const onAll = { interpreter: 'python', machines: ['web-1', 'web-2', 'web-3'] };
  await expect(submit(h, 'exit 0', onAll)).rejects.toMatchObject({
    code: 'INTERPRETER_MISSING',
    field: 'interpreter',
    message: 'python is missing on: web-1',
  });
  expect([bare, able, unchecked].flatMap(({ starts }) => starts)).toEqual([]);
  bare.health = { interpreters: [{ name: 'bash' }, { name: 'python' }] };
  await check(h, 'web-1');
  expect((await h.ended(await submit(h, 'exit 0', onAll))).state).toBe('succeeded');
});

it('names those of a deployment whose steps need it, and only those', async () => {
  const h = await startHarness();
  const [web, db] = [await h.machine('web-1', { roles: ['web'] }), await h.machine('db-1', { roles: ['db'] })];
  for (const fake of [web, db]) fake.health = { interpreters: [{ name: 'sh' }] };
  await check(h, 'web-1', 'db-1');
  const step = (role: string, interpreter: string) => ({
    ...{ name: role, kind: 'script', targetRoles: [role] },
    script: { interpreter, body: 'exit 0' },
  });
  await h.store.transaction(async (tx) => {
    await createProject(tx, h.steps, { id: 'shop', steps: [step('db', 'sh'), step('web', 'python')] }, actor);
    await createRelease(tx, h.steps, 'shop', { version: '1.0.0' }, actor);
  });
  const request = { project: 'shop', release: '1.0.0', environment: 'prod' };
  await expect(h.store.transaction((tx) => submitDeployment(tx, h, request, actor))).rejects.toMatchObject({
    code: 'INTERPRETER_MISSING',
    message: 'python is missing on: web-1',
  });
  expect([...web.starts, ...db.starts]).toEqual([]);
});
