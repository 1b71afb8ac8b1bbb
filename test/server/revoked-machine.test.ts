// A machine that is revoked. While a task has work for it: its steps end at once with a code that says so, interrupted
// where something ran, and the others finish. Afterwards: every command says so, and what to do. Real nodes, a real script
// that would run for hours.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { isthmus } from '../support/terminal.ts';
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

it('is shown as revoked by every command, with what brings it back, be it a machine or a relay', async () => {
  const mesh = await WholeMesh.up();
  const { api, folder } = mesh;
  await api.ask('POST', '/sites', { id: 'eu' });
  await api.ask('POST', '/environments', { id: 'prod' });
  await mesh.add({ id: 'eu', role: 'relay' });
  await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'eu' });
  await mesh.add({ id: 'us', role: 'relay' });
  await mesh.add({ id: 'us-1', role: 'tentacle', parent: 'us' });
  await api.ask('POST', '/projects', { id: 'shop' });
  const step = { name: 'a', kind: 'script', targetRoles: ['web'], script: { interpreter: 'bash', body: 'true' } };
  await api.ask('PUT', '/projects/shop/process', { steps: [step] }, { 'if-match': '"1"' });
  await api.ask('POST', '/projects/shop/releases', { version: '1.0.0' });
  await writeFile(join(folder, 'key'), mesh.adminKey, { mode: 0o600 });
  await writeFile(join(folder, 'script'), 'true');
  const access = ['--server', mesh.addresses.apiUrl, '--api-key-file', join(folder, 'key')];
  const command = (words: string) => isthmus([...access, ...words.split(' ')]);
  const rejoin = {
    'web-1': 'token create --role tentacle --site eu --name web-1 --parent eu',
    us: `token create --role relay --site eu --name us --parent server --address ${mesh.address('us')}`,
  };
  const script = `--file ${folder}/script`;

  for (const node of ['web-1', 'us'] as const) {
    const { out } = await command(`node revoke ${node} --yes`);
    expect(out).toContain(`revoked until it joins again. \`isthmus ${rejoin[node]}\``);
  }
  for (const words of ['machine list', 'machine show web-1', 'health show', 'node list', 'node show web-1']) {
    expect((await command(words)).out, words).toMatch(/web-1[^]*\brevoked\b/);
  }
  expect((await command('mesh status')).out).toMatch(/eu +web-1 +revoked[^]*server +us +revoked/);

  const shows = [
    ['web-1', 'machine show web-1'],
    ['web-1', 'node show web-1'],
    ['us', 'node show us'],
    ['web-1', 'machine enable web-1'],
    ['web-1', 'machine disable web-1'],
    ['web-1', 'machine set web-1 --target-role web'],
  ] as const;
  for (const [node, words] of shows) expect((await command(words)).out, words).toContain(rejoin[node]);
  await command('machine enable web-1');

  const fails = [
    ['web-1', 'mesh ping web-1'],
    ['web-1', 'mesh trace web-1'],
    ['web-1', 'health check --machine web-1'],
    ['web-1', `script run --machine web-1 ${script}`],
    ['web-1', 'node set-parents web-1 server'],
    ['web-1', 'node reactivate web-1 --yes'],
    ['us', 'mesh trace us'],
    ['us', 'mesh ping us-1'],
    ['us', 'mesh trace us-1'],
    ['us', `script run --machine us-1 ${script} --deadline 1s --follow`],
    ['us', 'node set-parents us server'],
    ['us', 'node set-parents us-1 us'],
    ['us', 'node reactivate us --yes'],
    ['us', 'machine set-route us-1 us'],
    ['us', 'token create --role tentacle --site eu --parent us'],
    ['us', 'token create --role tentacle --site eu --name us-2 --route us'],
  ] as const;
  for (const [node, words] of fails) {
    const { code, out, err } = await command(words);
    expect(code, words).not.toBe(0);
    expect(out + err, words).toMatch(/revoked/);
    expect(out + err, words).toContain(rejoin[node]);
  }
  const { out, err } = await command('health check --machine us-1 --follow');
  expect(out + err).toContain('relay us is revoked');

  await command('node revoke us-1 --yes');
  for (const words of ['health check', `script run --environment prod ${script}`, 'deploy shop 1.0.0 --to prod']) {
    const { code, err } = await command(words);
    expect(code, words).not.toBe(0);
    expect(err, words).toMatch(/revoked/);
    expect(err, words).toMatch(
      /isthmus token create --role tentacle --site eu --name (web-1 --parent eu|us-1 --parent us)/,
    );
  }
  for (const words of Object.values(rejoin)) expect((await command(words)).code).toBe(0);
});

it('joins again as a relay at the address that its token had, also when it never started', async () => {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.join({ id: 'r7', role: 'relay', address: 'r7.internal:9555' });
  await mesh.api.ask('POST', '/nodes/r7/revoke');
  await writeFile(join(mesh.folder, 'key'), mesh.adminKey, { mode: 0o600 });
  const access = ['--server', mesh.addresses.apiUrl, '--api-key-file', join(mesh.folder, 'key')];
  const rejoin = 'token create --role relay --site eu --name r7 --parent server --address r7.internal:9555';
  expect((await isthmus([...access, 'node', 'show', 'r7'])).out).toContain(`\`isthmus ${rejoin}\``);
  const { out } = await isthmus([...access, ...rejoin.split(' ')]);
  expect(out).toContain("--listen '[::]:9555'");
});
