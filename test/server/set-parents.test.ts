// Reparenting a running node: it moves to its desired parents without joining again, keeps every link until a new one
// works, and rejects parents that cannot work. Real processes, killed; the real command line.
import { mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Mesh } from '../../contract/mesh.ts';
import type { Node } from '../../contract/nodes.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore } from '../../server/store/store.ts';
import { setParents } from '../../server/topology/desired-parents.ts';
import { openLiveTopology } from '../../server/topology/live.ts';
import { cable } from '../support/fake-link.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const limitMs = 60_000;
const route = (...via: string[]) => [{ kind: 'path', via }];

describe('other parents', () => {
  let folder: string;
  let world: World;
  let addresses: Readonly<Record<'server' | 'eu-a' | 'eu-b' | 'web-2', string>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-set-parents-'));
    const port = async () => `127.0.0.1:${await freePort()}`;
    addresses = { server: await port(), 'eu-a': await port(), 'eu-b': await port(), 'web-2': await port() };
    world = await World.up({ folder, meshListen: addresses.server, apiListen: await port() });
    await world.api.post('sites', { id: 'eu' });
    for (const id of ['eu-a', 'eu-b'] as const) {
      const plan = { id, role: 'relay', site: 'eu', parent: 'server', parentAddress: addresses.server } as const;
      await world.add({ ...plan, listen: addresses[id] });
    }
    await world.linked();
    const machine = { role: 'tentacle', site: 'eu', parent: 'eu-a' } as const;
    await world.add({ id: 'web-1', ...machine, parentAddress: addresses['eu-a'] });
    await world.add({ id: 'web-2', ...machine, dialAddress: addresses['web-2'], listen: addresses['web-2'] });
    await world.linked();
  }, 180_000);

  afterAll(async () => {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  });

  // Every test begins with everything below eu-a.
  afterEach(async () => {
    for (const [id, parent] of [
      ['eu-b', { node: 'server' }],
      ['web-1', { node: 'eu-a', address: addresses['eu-a'] }],
      ['web-2', { node: 'eu-a', dialAddress: addresses['web-2'] }],
    ] as const) {
      await put(id, [parent]);
      await taken(id);
    }
    await world.linked();
  });

  const put = (id: string, parents: object[]) => world.api.put<Node>(`nodes/${id}/parents`, { parents }, `nodes/${id}`);
  const node = (id: string) => world.api.get<Node>(`nodes/${id}`);
  const config = (id: string) => readFile(join(world.dataDir(id), 'config.yaml'), 'utf8');
  const cli = (...words: string[]) =>
    isthmus(['--context', join(folder, 'context/context.json'), 'node', 'set-parents', ...words]);

  async function taken(id: string): Promise<Node> {
    return waitFor(
      async () => {
        const now = await node(id);
        if (now.desiredParents) throw new Error(JSON.stringify(now));
        return now;
      },
      { limitMs, everyMs: 100, what: `the new parents of ${id}` },
    );
  }

  async function events(type: string) {
    const { items } = await world.api.get<{ items: { actor: string; subject: string; data: object }[] }>(
      `events?type=${type}&limit=500`,
    );
    return items;
  }

  /** The path of a health check, once one succeeds: after a restart the link must first come up. */
  async function routeTo(machine: string): Promise<unknown> {
    await waitFor(
      async () => {
        const { id } = await world.api.post<{ id: string }>('health-checks', { machines: [machine] });
        return (await world.api.ended(id)).state === 'succeeded';
      },
      { limitMs, what: `a path to ${machine}` },
    );
    const { healthReport } = await world.api.get<{ healthReport: { route?: object } }>(`machines/${machine}`);
    return [healthReport.route];
  }

  async function linksTo(id: string): Promise<string[]> {
    const { links } = await world.api.get<Mesh>('mesh');
    return links.flatMap(({ from, to, state }) => (to === id && state === 'up' ? [from] : [])).toSorted();
  }

  it('are moved to by one command, with the routes that follow them, under a script that streams on', async () => {
    const latch = join(folder, 'latch');
    const body = `echo before; until [ -e ${latch} ]; do sleep 0.05; done; echo after`;
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: ['web-1'] });
    await waitFor(async () => (await world.api.stream(id)).some(({ text }) => text === 'before'), { limitMs });
    const before = await node('web-1');

    const { code, out, err } = await cli('web-1', 'eu-b');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('web-1 has its new parents: dials eu-b');

    await writeFile(latch, '');
    expect(await world.api.ended(id)).toMatchObject({ state: 'succeeded' });
    const log = (await world.api.stream(id)).filter(({ kind }) => kind === 'log');
    expect(log.map(({ line, text }) => [line, text])).toEqual([
      [1, 'before'],
      [2, 'after'],
    ]);
    expect(await world.api.get('machines/web-1')).toMatchObject({ routes: route('eu-b') });
    expect(await routeTo('web-1')).toEqual(route('eu-b'));
    await waitFor(async () => (await linksTo('web-1')).join() === 'eu-b', { limitMs, what: 'the end of the old link' });
    expect(await config('web-1')).toMatch(/^parents:\n {2}- node: eu-b\n {4}address: 127\.0\.0\.1:\d+\n$/m);
    const parents = [{ node: 'eu-b', dialAddress: null }];
    const [set, went] = [await events('node.reparent-requested'), await events('node.reparented')];
    expect(set.filter(({ subject }) => subject === 'web-1')).toMatchObject([
      { data: { parents, before: before.parents } },
    ]);
    expect(went.filter(({ subject }) => subject === 'web-1')).toMatchObject([
      { actor: 'web-1', data: { parents, before: before.parents } },
    ]);

    // A restart begins with them.
    await world.signal('web-1', 'SIGKILL');
    await world.start('web-1');
    expect(await routeTo('web-1')).toEqual(route('eu-b'));
  });

  it('that do not answer cost nothing: the old ones carry, after a kill too, and right ones can still be set', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    const { code, err } = await cli('web-1', 'eu-b', '--address', `eu-b=${nobody}`, '--wait', '3s');
    expect(code).toBe(1);
    expect(err).toMatch(/web-1 has not moved within 3 s: last error UNREACHABLE \(REPARENT_TIMEOUT at web-1\)/);
    expect(err).toContain('see `isthmus node show web-1`');
    expect(await node('web-1')).toMatchObject({
      parents: [{ node: 'eu-a' }],
      desiredParents: { parents: [{ node: 'eu-b', address: nobody }], errorCode: 'UNREACHABLE' },
    });
    expect(await routeTo('web-1')).toEqual(route('eu-a'));
    // On disk it has both, so that neither a kill nor the loss of its old relay leaves it without a working path.
    expect(await config('web-1')).toContain('node: eu-a');
    await world.signal('web-1', 'SIGKILL');
    await world.start('web-1');
    await waitFor(async () => (await linksTo('web-1')).join() === 'eu-a', { limitMs, what: 'the link' });
    expect(await routeTo('web-1')).toEqual(route('eu-a'));
    expect(await node('web-1')).toMatchObject({ desiredParents: { parents: [{ node: 'eu-b' }] } });

    await put('web-1', [{ node: 'eu-b', address: addresses['eu-b'] }]);
    await taken('web-1');
    expect(await routeTo('web-1')).toEqual(route('eu-b'));
    expect(await config('web-1')).not.toContain(nobody);
  });

  it('that are taken back leave nothing behind, as soon as the disk lets the node forget them', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    await put('web-1', [{ node: 'eu-b', address: nobody }]);
    await waitFor(async () => (await config('web-1')).includes(nobody), {
      limitMs,
      what: 'the desired parents on disk',
    });
    const file = join(world.dataDir('web-1'), 'config.yaml');
    await rename(file, `${file}.aside`);
    await mkdir(file);
    await put('web-1', [{ node: 'eu-a', address: addresses['eu-a'] }]);
    await waitFor(async () => (await node('web-1')).desiredParents?.errorCode === 'FILE_UNUSABLE', { limitMs });
    await rmdir(file);
    await rename(`${file}.aside`, file);
    await taken('web-1');
    expect(await config('web-1')).toMatch(
      new RegExp(`^parents:\\n  - node: eu-a\\n    address: ${addresses['eu-a']}\\n$`, 'm'),
    );
    await world.signal('web-1', 'SIGKILL');
    await world.start('web-1');
    expect(await routeTo('web-1')).toEqual(route('eu-a'));
    await waitFor(async () => (await linksTo('web-1')).join() === 'eu-a', { limitMs, what: 'the link, and no other' });
  });

  it('are moved to although the old relay died while the new one was not up', async () => {
    await world.signal('eu-b', 'SIGKILL');
    await put('web-1', [{ node: 'eu-b' }]);
    await waitFor(async () => (await config('web-1')).includes('eu-b'), {
      limitMs,
      what: 'the desired parents on disk',
    });
    await world.signal('eu-a', 'SIGKILL');
    await world.signal('web-1', 'SIGKILL');
    await world.start('web-1');
    await world.start('eu-b');
    await taken('web-1');
    expect(await routeTo('web-1')).toEqual(route('eu-b'));
    await world.start('eu-a');
  });

  it('can be the same relay at another address: tried beside the link that is up, which a wrong one leaves alone', async () => {
    const nobody = `127.0.0.1:${await freePort()}`;
    await put('web-1', [{ node: 'eu-a', address: nobody }]);
    await waitFor(async () => (await node('web-1')).desiredParents?.errorCode === 'UNREACHABLE', { limitMs });
    expect(await routeTo('web-1')).toEqual(route('eu-a'));

    const line = await cable(addresses['eu-a']);
    await put('web-1', [{ node: 'eu-a', address: line.address }]);
    await taken('web-1');
    expect(await config('web-1')).toMatch(
      new RegExp(`^parents:\\n  - node: eu-a\\n    address: ${line.address}\\n$`, 'm'),
    );
    expect(await routeTo('web-1')).toEqual(route('eu-a'));
    await put('web-1', [{ node: 'eu-a', address: addresses['eu-a'] }]);
    await taken('web-1');
  });

  it('can dial the node, and the node can be the one that dials from then on', async () => {
    await put('web-2', [{ node: 'eu-b', dialAddress: addresses['web-2'] }]);
    await taken('web-2');
    expect(await routeTo('web-2')).toEqual(route('eu-b'));

    // At a wrong address: the parent tries it, and returns to the address of the node.
    const nobody = `127.0.0.1:${await freePort()}`;
    await put('web-2', [{ node: 'eu-b', dialAddress: nobody }]);
    await waitFor(async () => (await linksTo('web-2')).length === 0, { limitMs, what: 'the attempt' });
    await waitFor(async () => (await linksTo('web-2')).join() === 'eu-b', { limitMs, what: 'the path back' });
    expect(await node('web-2')).toMatchObject({ desiredParents: { parents: [{ dialAddress: nobody }] } });

    await put('web-2', [{ node: 'eu-b', address: addresses['eu-b'] }]);
    await taken('web-2');
    expect(await routeTo('web-2')).toEqual(route('eu-b'));
    const { links } = await world.api.get<Mesh>('mesh');
    expect(links.find(({ from, to }) => from === 'eu-b' && to === 'web-2')).toMatchObject({ dialledBy: 'child' });
    // And back through the other relay, with which it has no link that would prevent it.
    await put('web-2', [{ node: 'eu-a', dialAddress: addresses['web-2'] }]);
    await taken('web-2');
  }, 180_000);

  it('move a relay with everything below it', async () => {
    await put('web-1', [{ node: 'eu-b' }]);
    await taken('web-1');
    await put('eu-b', [{ node: 'eu-a' }]);
    await taken('eu-b');
    expect(await world.api.get('machines/web-1')).toMatchObject({ routes: route('eu-a', 'eu-b') });
    expect(await routeTo('web-1')).toEqual(route('eu-a', 'eu-b'));
  });

  it('are rejected where they cannot work, and nothing changes', async () => {
    await put('eu-b', [{ node: 'eu-a' }]);
    await taken('eu-b');
    const { nodes } = await world.api.get<Mesh>('mesh');
    const server = nodes.find(({ role }) => role === 'server')!.id;
    const state = async () => {
      const { items } = await world.api.get<{ items: Node[] }>('nodes');
      const rows = items.map(({ id, parents, desiredParents = null }) => ({ id, parents, desiredParents }));
      return { rows, set: (await events('node.reparent-requested')).length };
    };
    const before = await state();
    const rejected: [string, string, object[], RegExp][] = [
      ['no such relay', 'web-1', [{ node: 'eu-z' }], /422 .*"INVALID_FIELD".*"parents\[0\]\.node"/],
      ['a machine as a parent', 'web-1', [{ node: 'web-2' }], /422 .*"INVALID_FIELD".*"parents\[0\]\.node"/],
      ['the same twice', 'web-1', [{ node: 'eu-a' }, { node: 'eu-a' }], /"INVALID_FIELD".*"parents\[1\]\.node"/],
      ['no address', 'web-1', [{ node: 'eu-a', address: 'eu-a:99999' }], /"INVALID_FIELD".*"parents\[0\]\.address"/],
      ['a forbidden address', 'web-1', [{ node: 'eu-a', address: '169.254.169.254:80' }], /"URL_FORBIDDEN"/],
      ['both directions', 'web-1', [{ node: 'eu-a', address: 'a:1', dialAddress: 'a:1' }], /"INVALID_FIELD"/],
      ['itself', 'eu-a', [{ node: 'eu-a' }], /422 .*"PARENT_LOOP".*"parents\[0\]\.node"/],
      [
        'a relay that is below it',
        'eu-a',
        [{ node: 'server' }, { node: 'eu-b' }],
        /"PARENT_LOOP".*"parents\[1\]\.node"/,
      ],
      ['a node without a port', 'web-1', [{ node: 'eu-b', dialAddress: '10.0.0.7:8444' }], /"PARENT_DIRECTION"/],
      ['the other direction', 'eu-b', [{ node: 'eu-a', dialAddress: addresses['eu-b'] }], /"PARENT_DIRECTION"/],
      ['a server', server, [{ node: 'eu-a' }], /422 .*"PARENT_ROLE"/],
      ['nobody', 'web-9', [{ node: 'eu-a' }], /404 .*"NOT_FOUND"/],
    ];
    for (const [what, id, parents, code] of rejected) {
      const headers = { 'if-match': id === 'web-9' ? '"1"' : ((await node(id)) as Node & { etag: string }).etag };
      const answer = world.api.request('PUT', `nodes/${id}/parents`, { parents }, headers);
      await expect(answer, what).rejects.toThrow(code);
    }
    const stale = world.api.request(
      'PUT',
      'nodes/web-1/parents',
      { parents: [{ node: 'eu-b' }] },
      { 'if-match': '"0"' },
    );
    await expect(stale).rejects.toThrow(/412 .*"PRECONDITION_FAILED"/);
    expect(await state()).toEqual(before);
  });

  it('are rejected where a route that was chosen by hand would lead nowhere', async () => {
    const chooseRoutes = async (routes: object[]) => {
      const { etag } = await world.api.get<{ etag: string }>('machines/web-1');
      await world.api.request('PATCH', 'machines/web-1', { routes }, { 'if-match': etag });
    };
    await put('web-1', [{ node: 'eu-a' }, { node: 'eu-b' }]);
    await taken('web-1');
    await waitFor(async () => (await linksTo('web-1')).join() === 'eu-a,eu-b', { limitMs, what: 'both links' });
    expect(await world.api.get('machines/web-1')).toMatchObject({ routes: [...route('eu-a'), ...route('eu-b')] });
    await chooseRoutes(route('eu-b'));
    await expect(put('web-1', [{ node: 'eu-a' }])).rejects.toThrow(/422 .*"ROUTE_INVALID".*machine web-1/);
    expect(await node('web-1')).toMatchObject({ desiredParents: null });
    await chooseRoutes(route('eu-a'));
  });
});

it('are not for a node of a version that knows nothing of them, nor for one that is revoked', async () => {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  const parents = [{ node: 'server', dialAddress: null }];
  await store.transaction(async (tx) => {
    await tx.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt: 1 });
    for (const id of ['old', 'gone']) await tx.nodes.insert({ id, role: 'relay', site: 'eu', parents, createdAt: 1 });
    await tx.nodes.recordLastSeen('old', { softwareVersion: '0.0.1', report: { links: [] }, lastSeenAt: Date.now() });
    await tx.nodes.revoke('gone', 1);
  });
  const topology = await openLiveTopology(store);
  const set = (id: string, version: number) =>
    store.transaction((tx) =>
      setParents(tx, id, { version, parents: [{ node: 'server' }], topology, serverAddress: '10.0.0.1:1' }, 'key-1'),
    );
  await expect(set('old', 1)).rejects.toMatchObject({ code: 'WIRE_VERSION', hop: 'old' });
  await expect(set('gone', 2)).rejects.toMatchObject({ code: 'MACHINE_REVOKED', hop: 'gone' });
  expect((await store.nodes.all()).map(({ desired }) => desired)).toEqual([null, null]);
});
