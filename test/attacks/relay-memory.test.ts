// A relay sees nothing of what it carries: secrets that cross it in scripts, variables and packages are nowhere in its
// memory, its folder or its log, in any form. The same search finds them at both endpoints.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';
import { zip } from '../packages/craft.ts';
import { foundBelow, foundIn, foundInMemory, formsOf } from './memory-scan.ts';

/** With a Z, whose hexadecimal code has a letter: else upper and lower case would be the same. */
const word = `Z${randomBytes(12).toString('hex')}`;
/** Needs escaping in JSON and in URLs. */
const canary = `kanarienvögel "${word}" \\ ende`;
const scripts = 200;

async function world(): Promise<World> {
  const folder = await tempDir();
  const meshListen = `127.0.0.1:${await freePort()}`;
  const built = await World.up({ folder, meshListen, apiListen: `127.0.0.1:${await freePort()}` });
  onTestFinished(() => built.stop());
  const listen = `127.0.0.1:${await freePort()}`;
  await built.api.post('sites', { id: 'eu' });
  await built.api.post('environments', { id: 'prod' });
  await built.add({ id: 'relay-eu', role: 'relay', site: 'eu', parent: 'server', parentAddress: meshListen, listen });
  await built.add({
    ...{ id: 'web-1', role: 'tentacle', site: 'eu', parent: 'relay-eu', parentAddress: listen },
    machine: { environments: ['prod'], targetRoles: ['web'], routes: [{ kind: 'path', via: ['relay-eu'] }] },
  });
  await built.linked();
  return built;
}

/** A release whose package holds the canary, and whose steps write it into files and print it. */
async function deploy({ api }: World): Promise<string> {
  // Not compressed: it is readable in the bytes of the package.
  const bytes = zip([
    { name: 'motto.txt', content: canary, method: 0 },
    { name: 'config.txt', content: 'password=#{Password}', method: 0 },
  ]);
  await api.request('POST', 'packages?id=shop&version=1.0.0&format=zip', bytes, {
    'content-type': 'application/octet-stream',
  });
  const { version } = await api.post<{ version: number }>('projects', { id: 'shop' });
  const step = { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'shop' }, substituteIn: ['*.txt'] };
  const postDeploy = { interpreter: 'bash', body: 'cat config.txt; echo; echo "$Password"' };
  await api.request(
    'PUT',
    'projects/shop/process',
    { steps: [{ ...step, postDeploy }] },
    { 'if-match': `"${version}"` },
  );
  await api.post('projects/shop/variables', { name: 'Password', value: canary, sensitive: true });
  await api.post('projects/shop/releases', { version: '1.0.0' });
  const { id } = await api.post<{ id: string }>('deployments', {
    project: 'shop',
    release: '1.0.0',
    environment: 'prod',
  });
  return id;
}

it('the search finds a secret in every form, also across the pieces that it reads', async () => {
  const folder = await tempDir();
  const forms = formsOf(word);
  const texts: Record<string, Buffer[]> = {
    'as it is': [Buffer.from(canary), Buffer.from(encodeURIComponent(canary)), Buffer.from(JSON.stringify([canary]))],
    'UTF-16': [Buffer.from(canary, 'utf16le'), Buffer.from(canary, 'utf16le').swap16()],
    hex: [Buffer.from(Buffer.from(canary).toString('hex'))],
    HEX: [Buffer.from(Buffer.from(canary).toString('hex').toUpperCase())],
  };
  const base64 = ['', 'x', 'xy'].map((lead) => Buffer.from(Buffer.from(lead + canary).toString('base64')));
  for (const [name, samples] of [...Object.entries(texts), ['base64', base64] as const]) {
    for (const sample of samples) {
      // Across the border of two pieces.
      const file = join(folder, 'file');
      await writeFile(file, Buffer.concat([Buffer.alloc(1024 * 1024 - sample.length / 2), sample, Buffer.alloc(9)]));
      const found = await foundIn(file, forms);
      expect(found.map((form) => form.replace(/, \d$/, ''))).toEqual([name]);
    }
  }
});

describe.skipIf(lacks('linux'))('the memory of a relay', () => {
  it('holds no secret that crossed it, nor do its folder and its log', async () => {
    const built = await world();
    const forms = formsOf(word);
    const deployment = await deploy(built);
    const order = { machines: ['web-1'], isolation: 'shared' };
    const run = (body: string) => built.api.post<{ id: string }>('scripts', { ...order, body });
    const reaches = (state: string, id: string) =>
      waitFor(async () => (await built.api.task(id)).state === state, { limitMs: 240_000, everyMs: 50, what: state });
    const made = Array.from({ length: scripts }, (_, index) => run(`echo '${canary}' ${index}`));
    for (const id of [deployment, ...(await Promise.all(made)).map((task) => task.id)]) await reaches('succeeded', id);
    // One still runs, so that its endpoint of the tunnel holds the secret.
    const { id: waiting } = await run(
      `echo '${canary}' | wc -c; while [ -d '${built.dataDir('web-1')}' ]; do sleep 0.1; done`,
    );
    await reaches('running', waiting);

    // Its own name is there, which proves that the search reads the relay's memory.
    const relay = new Map([...forms, ['its name', Buffer.from('relay-eu')]]);
    expect(await foundInMemory(built.pid('relay-eu'), relay)).toEqual(['its name']);
    expect(await foundBelow(built.dataDir('relay-eu'), forms)).toEqual([]);
    expect(await foundIn(join(built.dataDir('logs'), 'relay-eu.log'), forms)).toEqual([]);
    expect(await foundInMemory(built.pid('web-1'), forms)).toContain('as it is');
    expect(await foundBelow(built.dataDir('web-1'), forms)).not.toEqual([]);
    await built.api.post(`tasks/${waiting}/cancel`, {});
    await reaches('cancelled', waiting);
  }, 500_000);
});
