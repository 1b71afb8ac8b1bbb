// Upgrades of real nodes by the real upgrader: what runs goes on, what does not start goes back.
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';
import { buildSoftware, NodeHost, type Software } from './hosts.ts';

const { privateKey } = generateKeyPairSync('ed25519');
const FAULT = "if (process.argv.includes('start')) process.exit(70);";

let folder: string;
let world: World;
let [old, broken, next]: Software[] = [];
const hosts = new Map<string, NodeHost>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-upgrades-'));
  const build = (version: string, fault = '') => buildSoftware(folder, { version, key: privateKey, fault });
  // The server runs the present version, and no node may be ahead of it.
  old = await build('0.0.7');
  broken = await build('0.0.8', FAULT);
  next = await build(manifest.version);
  const port = async () => `127.0.0.1:${await freePort()}`;
  const [meshListen, eu] = [await port(), await port()];
  world = await World.up({ folder, meshListen, apiListen: await port() });
  await world.api.post('sites', { id: 'eu' });
  const add = async (id: string, role: 'relay' | 'tentacle', more: object) => {
    const host = await NodeHost.install(world, id, role, old!, privateKey);
    hosts.set(id, host);
    const { spawner } = host;
    await world.add({ id, role, site: 'eu', parent: 'server', parentAddress: meshListen, spawner, ...more });
    host.watch(world);
  };
  await add('eu', 'relay', { listen: eu });
  await add('web-1', 'tentacle', { parent: 'eu', parentAddress: eu });
  await world.linked();
}, 240_000);

afterAll(async () => {
  for (const host of hosts.values()) await host.stop();
  await world.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Upgrades the site; resolves with the ended task. */
async function upgrade({ name, version, tarball, sums, signature }: Software) {
  const headers = { 'content-type': 'application/octet-stream' };
  const path = `packages?id=isthmus-linux-${process.arch}&version=${version}`;
  await world.api.request('POST', path, await readFile(tarball), headers);
  const body = { site: 'eu', tarballs: [name], sums, signature: signature.toString('base64') };
  const { id } = await world.api.post<{ id: string }>('node-upgrades', body);
  return world.api.ended(id);
}

async function versions(): Promise<Record<string, string>> {
  const { nodes } = await world.api.get<{ nodes: { id: string; softwareVersion: string }[] }>('mesh');
  return Object.fromEntries(nodes.filter(({ id }) => hosts.has(id)).map(({ id, softwareVersion: v }) => [id, v]));
}

it('goes back from a version that does not start, and takes the next one, while a script runs', async () => {
  const latch = join(folder, 'latch');
  const body = `echo begun; until [ -e ${latch} ]; do sleep 0.05; done; echo ended; exit 3`;
  const script = await world.api.post<{ id: string }>('scripts', { body, machines: ['web-1'] });
  const log = async () => (await world.api.stream(script.id)).filter(({ kind }) => kind === 'log');
  await waitFor(async () => (await log()).length === 1, { limitMs: 60_000, what: 'the start of the script' });

  const failed = await upgrade(broken!);
  expect(failed).toMatchObject({ state: 'failed', error: { detail: 'failed on web-1; not tried: eu' } });
  expect(failed.machines).toMatchObject([
    { machine: 'web-1', steps: [{ error: { code: 'UPGRADE_START_FAILED' } }] },
    { machine: 'eu', steps: [{ state: 'skipped', error: { code: 'UPGRADE_STOPPED' } }] },
  ]);
  expect(await versions()).toEqual({ 'web-1': '0.0.7', eu: '0.0.7' });

  const upgraded = await upgrade(next!);
  expect(upgraded, JSON.stringify(await world.api.stream(upgraded.id))).toMatchObject({ state: 'succeeded' });
  await waitFor(async () => (await versions())['eu'] === manifest.version, { limitMs: 60_000 });
  expect(await versions()).toEqual({ 'web-1': manifest.version, eu: manifest.version });
  // To the broken version and back, then to the next one; the relay only to that.
  expect([...hosts.values()].map(({ restarts }) => restarts)).toEqual([1, 3]);
  for (const { layout } of hosts.values()) {
    expect(JSON.parse(await readFile(layout.journal, 'utf8'))).toMatchObject({ phase: 'confirmed', from: '0.0.7' });
  }

  await writeFile(latch, '');
  expect(await world.api.ended(script.id)).toMatchObject({ machines: [{ steps: [{ exitCode: 3 }] }] });
  expect((await log()).map(({ line, text }) => [line, text])).toEqual([
    [1, 'begun'],
    [2, 'ended'],
  ]);
}, 240_000);
