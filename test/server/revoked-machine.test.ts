// A machine that is revoked while a task has work for it: its steps end at once with a code that says so, interrupted
// where something ran, and the others finish. Real nodes, a real script that would run for hours.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { waitFor } from '../support/wait.ts';
import { WholeMesh, type TaskView } from './whole.ts';

/** A script that reports its start, and runs until the test ends it. */
const held = (folder: string) => `
echo "$ISTHMUS_MACHINE has begun"
until [ -e "${folder}/go-$ISTHMUS_MACHINE" ] || [ ! -d "${folder}" ]; do sleep 0.05; done`;

async function meshOfTwo(): Promise<WholeMesh> {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  await mesh.add({ id: 'relay-1', role: 'relay' });
  await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'relay-1' });
  await mesh.add({ id: 'web-2', role: 'tentacle' });
  return mesh;
}

function read(mesh: WholeMesh, task: string): Promise<TaskView> {
  return mesh.api.ask('GET', `/tasks/${task}`) as Promise<unknown> as Promise<TaskView>;
}

it('ends at once on a machine that is revoked; the others finish, and nobody knows how it ended', async () => {
  const mesh = await meshOfTwo();
  const { api, folder } = mesh;
  const go = (machine: string) => writeFile(join(folder, `go-${machine}`), '');
  onTestFinished(() => go('web-1'));
  const project = await api.ask('POST', '/projects', { id: 'shop' });
  const script = (body: string) => ({ interpreter: 'bash', body });
  const steps = [
    { name: 'hold', kind: 'script', targetRoles: ['web'], script: script(held(folder)) },
    { name: 'after', kind: 'script', targetRoles: ['web'], script: script('echo after') },
  ];
  await api.ask('PUT', '/projects/shop/process', { steps }, { 'if-match': `"${String(project.version)}"` });
  await api.ask('POST', '/projects/shop/releases', { version: '1.0.0' });
  const deployment = { project: 'shop', release: '1.0.0', environment: 'prod' };
  const task = String((await api.ask('POST', '/deployments', deployment)).id);
  const begun = ['web-1 has begun', 'web-2 has begun'];
  await waitFor(async () => {
    const lines = await api.log(task);
    return begun.every((line) => lines.includes(line));
  });

  await api.ask('POST', '/nodes/web-1/revoke');
  const left = await waitFor(async () => {
    const view = await read(mesh, task);
    return view.machines.find(({ machine, state }) => machine === 'web-1' && state === 'interrupted');
  });
  expect(left.steps).toMatchObject([
    { step: 'hold', state: 'interrupted', error: { code: 'MACHINE_REVOKED', hop: 'web-1' } },
    { step: 'after', state: 'skipped', error: { code: 'EARLIER_STEP_FAILED' } },
  ]);
  // The other machine is still running: only the revocation ended the first.
  expect((await read(mesh, task)).state).toBe('running');

  await go('web-2');
  const ended = await waitFor(async () => {
    const view = await read(mesh, task);
    return view.endedAt === null ? undefined : view;
  });
  expect(ended).toMatchObject({
    state: 'interrupted',
    error: { code: 'SCRIPT_INTERRUPTED', detail: 'interrupted on web-1' },
  });
  expect(ended.machines.find(({ machine }) => machine === 'web-2')).toMatchObject({
    state: 'succeeded',
    steps: [{ step: 'hold' }, { step: 'after', state: 'succeeded' }],
  });
  expect((await api.log(task)).toSorted()).toEqual(['after', ...begun]);
});

it('ends the wait for a machine that was away when it was revoked', async () => {
  const mesh = await meshOfTwo();
  await mesh.stopNode('web-2');
  const task = String((await mesh.api.ask('POST', '/scripts', { body: 'echo x', machines: ['web-2'] })).id);
  await waitFor(async () => {
    const { items } = await mesh.api.ask('GET', `/tasks/${task}/log`);
    return (items as { code?: string | null }[]).some(({ code }) => code === 'UNREACHABLE');
  });
  await mesh.api.ask('POST', '/nodes/web-2/revoke');
  const ended = await waitFor(async () => {
    const view = await read(mesh, task);
    return view.endedAt === null ? undefined : view;
  });
  expect(ended).toMatchObject({ state: 'failed' });
  expect(ended.machines[0]?.steps[0]).toMatchObject({ state: 'failed', error: { code: 'MACHINE_REVOKED' } });
});
