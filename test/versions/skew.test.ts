// The version before this one beside this one, in both orders: real processes of both, on data folders that the former
// one made. A script that runs goes on while every node is replaced, and packages are deployed at every stage between.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterEach, expect, it } from 'vitest';
import { previousVersion } from '../../build/previous-version.ts';
import { lacks } from '../support/needs.ts';
import { onThisMachine, type Spawner } from '../support/spawner.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const nodes = ['server', 'eu', 'mirror-eu', 'web-1', 'web-2'] as const;
type Name = (typeof nodes)[number];

const limitMs = 240_000;
const upgraded = new Set<Name>();
let previous: string;
let folder: string;
let world: World;

afterEach(async () => {
  await world.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Starts a node in the version that it has by then; `args` begin with the program of this one. */
function spawnerOf(name: Name): Spawner {
  return (command, [program = '', ...args], options) =>
    onThisMachine(command, [upgraded.has(name) ? program : join(previous, 'cli/main.ts'), ...args], options);
}

/** A server, a relay, and behind it a mirror and two machines, all in the previous version. */
async function populate(): Promise<void> {
  upgraded.clear();
  previous = await previousVersion();
  folder = await mkdtemp(join(tmpdir(), 'isthmus-versions-'));
  const port = async () => `127.0.0.1:${await freePort()}`;
  const [meshListen, relay] = [await port(), await port()];
  world = await World.up({ folder, meshListen, apiListen: await port(), spawner: spawnerOf('server') });
  await world.api.post('sites', { id: 'eu' });
  await world.api.post('environments', { id: 'production' });
  const toServer = { parent: 'server', parentAddress: meshListen, listen: relay };
  await world.add({ id: 'eu', role: 'relay', site: 'eu', ...toServer, spawner: spawnerOf('eu') });
  const site = { site: 'eu', parent: 'eu', parentAddress: relay };
  await world.add({ id: 'mirror-eu', role: 'mirror', ...site, spawner: spawnerOf('mirror-eu') });
  const machine = { environments: ['production'], targetRoles: ['web'] };
  await world.add({ id: 'web-1', role: 'tentacle', ...site, machine, spawner: spawnerOf('web-1') });
  await world.add({ id: 'web-2', role: 'tentacle', ...site, spawner: spawnerOf('web-2') });
  await world.linked();
  const targetRoles = ['web'];
  const script = { interpreter: 'bash', body: 'echo "$ISTHMUS_MACHINE has $ISTHMUS_RELEASE"' };
  const steps = [
    { kind: 'package', name: 'files', targetRoles, package: { id: 'hello' } },
    { kind: 'script', name: 'report', targetRoles, script },
  ];
  await world.api.post('projects', { id: 'hello', name: 'hello' });
  await world.api.put('projects/hello/process', { steps }, 'projects/hello');
}

/** What the scripts of a task printed. */
async function said(task: string): Promise<string[]> {
  return (await world.api.stream(task)).flatMap(({ kind, text }) => (kind === 'log' ? [text] : []));
}

/** Deploys a project with more packages than a machine of the former version keeps for later steps. */
async function deployMany(): Promise<void> {
  const ids = ['a', 'b', 'c', 'd', 'e'];
  for (const id of ids) await push(id, '1.0.0');
  const steps = ids.map((id) => ({ kind: 'package', name: id, targetRoles: ['web'], package: { id } }));
  await world.api.post('projects', { id: 'many', steps });
  await world.api.post('projects/many/releases', { version: '1.0.0' });
  const request = { project: 'many', release: '1.0.0', environment: 'production' };
  const { id } = await world.api.post<{ id: string }>('deployments', request);
  expect(await world.api.ended(id)).toMatchObject({ state: 'succeeded' });
}

async function push(id: string, version: string): Promise<void> {
  await writeFile(join(folder, 'index.html'), `<h1>${id} ${version}</h1>`);
  const tarball = await create({ gzip: true, cwd: folder }, ['index.html']).concat();
  const headers = { 'content-type': 'application/octet-stream' };
  await world.api.request('POST', `packages?id=${id}&version=${version}&format=tar.gz`, tarball, headers);
}

/** Pushes a version of the package, makes a release of it and deploys that through relay and mirror. */
async function deploy(version: string): Promise<void> {
  await push('hello', version);
  await world.api.post('projects/hello/releases', { version });
  const request = { project: 'hello', release: version, environment: 'production' };
  const { id } = await world.api.post<{ id: string }>('deployments', request);
  expect(await world.api.ended(id)).toMatchObject({ state: 'succeeded' });
  expect(await said(id)).toContain(`web-1 has ${version}`);
}

it.skipIf(lacks('previousVersion')).each([
  { what: 'the server first, as the documents say', order: nodes },
  { what: 'the machines first', order: nodes.toReversed() },
])(
  'is replaced with $what: scripts go on, and deployments work at every stage',
  async ({ order }) => {
    await populate();
    const latch = join(folder, 'latch');
    const body = `echo begun; until [ -e '${latch}' ]; do sleep 0.05; done; echo ended`;
    const script = await world.api.post<{ id: string }>('scripts', { body, machines: ['web-2'] });
    await waitFor(async () => (await said(script.id)).includes('begun'));
    await deploy('1.0.0');
    for (const [index, name] of order.entries()) {
      await world.stopOne(name);
      upgraded.add(name);
      await world.start(name);
      await world.linked();
      await deploy(`1.0.${index + 1}`);
      if (index === 0) await deployMany();
    }
    await writeFile(latch, '');
    expect(await world.api.ended(script.id)).toMatchObject({ state: 'succeeded' });
    expect(await said(script.id)).toEqual(['begun', 'ended']);
  },
  limitMs,
);
