// A machine behind two relays: joined by one command, reached by its routes in order, and never over a path that they
// do not name. Real processes, killed.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const limitMs = 60_000;
const route = (relay: string) => ({ kind: 'path', via: [relay] });

describe('a machine with two parents', () => {
  let folder: string;
  let world: World;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-two-parents-'));
    const port = async () => `127.0.0.1:${await freePort()}`;
    const [meshListen, a, b] = [await port(), await port(), await port()];
    const [dialled, first, second] = [await port(), await port(), await port()];
    world = await World.up({ folder, meshListen, apiListen: await port() });
    await world.api.post('sites', { id: 'eu' });
    for (const [id, listen] of [
      ['eu-a', a],
      ['eu-b', b],
    ] as const) {
      await world.add({ id, role: 'relay', site: 'eu', parent: 'server', parentAddress: meshListen, listen });
    }
    const machine = { role: 'tentacle', site: 'eu', parent: 'eu-a' } as const;
    const both = { parentAddress: a, otherParents: [{ node: 'eu-b', address: b }] };
    await world.add({ id: 'web-1', ...machine, ...both });
    await world.add({ id: 'web-2', ...machine, ...both, machine: { routes: [route('eu-a')] } });
    // Each of its parents dials it.
    const waits = { dialAddress: dialled, listen: dialled, otherParents: [{ node: 'eu-b' }] };
    await world.add({ id: 'web-3', ...machine, ...waits });
    // One of its parents dials it, and it dials the other, in both orders.
    const byFirst = { dialAddress: first, listen: first, otherParents: [{ node: 'eu-b', address: b }] };
    await world.add({ id: 'web-4', ...machine, ...byFirst });
    const bySecond = { parentAddress: a, listen: second, otherParents: [{ node: 'eu-b', dialAddress: second }] };
    await world.add({ id: 'web-5', ...machine, ...bySecond });
    await world.linked();
  }, 180_000);

  afterAll(async () => {
    await world.stop();
    await rm(folder, { recursive: true, force: true });
  });

  interface MeshView {
    readonly links: readonly { from: string; to: string; state: string; dialledBy: string }[];
  }

  /** A task from its request to its end. */
  async function ran(path: string, body: object) {
    const { id } = await world.api.post<{ id: string }>(path, body);
    return world.api.ended(id);
  }

  /** The path of a call to the machine now. */
  async function routeTo(machine: string): Promise<unknown> {
    const task = await ran('health-checks', { machines: [machine] });
    expect(task.state).toBe('succeeded');
    const { healthReport } = await world.api.get<{ healthReport: { route?: object } }>(`machines/${machine}`);
    return healthReport.route;
  }

  const witness = (name: string) => join(folder, `${name}.witness`);

  it('joins by one command, with a route for each parent, and knows both', async () => {
    for (const id of ['web-1', 'web-3']) {
      expect(await world.api.get(`machines/${id}`)).toMatchObject({ routes: [route('eu-a'), route('eu-b')] });
    }
    const config = await readFile(join(world.dataDir('web-1'), 'config.yaml'), 'utf8');
    expect(config).toMatch(/- node: eu-a\n {4}address: .*\n {2}- node: eu-b\n {4}address: /);
    expect(await readFile(join(world.dataDir('web-3'), 'config.yaml'), 'utf8')).toMatch(
      /- node: eu-a\n {2}- node: eu-b/,
    );
    const { paths } = await world.api.post<{ paths: object[] }>('mesh/trace', { node: 'web-1' });
    expect(paths).toMatchObject([
      { path: ['eu-a'], hops: [{ node: 'eu-a' }, { node: 'web-1' }] },
      { path: ['eu-b'], hops: [{ node: 'eu-b' }, { node: 'web-1' }] },
    ]);
    expect(await routeTo('web-1')).toEqual(route('eu-a'));
  });

  it.each(['web-1', 'web-3'])(
    '%s: a script streams on by the second relay when the first is killed',
    async (machine) => {
      const latch = witness(`${machine}-latch`);
      const lines = 400;
      const body = `echo "$ISTHMUS_TASK" >> ${witness(machine)}
      for i in $(seq 1 200); do echo "line $i"; done
      until [ -e ${latch} ]; do sleep 0.05; done
      for i in $(seq 201 ${lines}); do echo "line $i"; done`;
      const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: [machine] });
      await waitFor(async () => (await world.api.stream(id)).some(({ text }) => text === 'line 200'), { limitMs });
      await world.signal('eu-a', 'SIGKILL');
      await writeFile(latch, '');
      expect(await world.api.ended(id)).toMatchObject({ state: 'succeeded' });
      const log = (await world.api.stream(id)).filter(({ kind }) => kind === 'log');
      expect(log.map(({ line }) => line)).toEqual(log.map((_, index) => index + 1));
      expect(log.map(({ text }) => text)).toEqual(Array.from({ length: lines }, (_, index) => `line ${index + 1}`));
      expect(await readFile(witness(machine), 'utf8')).toBe(`${id}\n`);

      // Idle on the second path now: new work needs no retry, and reports the path that failed.
      expect(await routeTo(machine)).toEqual(route('eu-b'));
      await world.start('eu-a');
      await world.linked();
      expect(await routeTo(machine)).toEqual(route('eu-a'));
    },
    120_000,
  );

  it.each([
    ['web-4', 'eu-a', 'eu-b'],
    ['web-5', 'eu-b', 'eu-a'],
  ])(
    '%s: is dialled by %s, dials %s, and is reached through each while the other is killed',
    async (machine, dialling, dialled) => {
      const { links } = await world.api.get<MeshView>('mesh');
      const to = (relay: string) => links.find((link) => link.from === relay && link.to === machine);
      expect(to(dialling)).toMatchObject({ state: 'up', dialledBy: 'parent' });
      expect(to(dialled)).toMatchObject({ state: 'up', dialledBy: 'child' });
      const config = await readFile(join(world.dataDir(machine), 'config.yaml'), 'utf8');
      expect(config).toMatch(new RegExp(`- node: ${dialled}\\n    address: `));
      expect(config).not.toMatch(new RegExp(`- node: ${dialling}\\n    address: `));
      for (const [killed, left] of [
        [dialled, dialling],
        [dialling, dialled],
      ] as const) {
        await world.signal(killed, 'SIGKILL');
        expect(await ran('scripts', { body: 'echo here', machines: [machine] })).toMatchObject({ state: 'succeeded' });
        expect(await routeTo(machine)).toEqual(route(left));
        await world.start(killed);
        await world.linked();
      }
    },
    120_000,
  );

  it('goes by the second relay at the next call when the first was killed while nothing ran', async () => {
    await world.signal('eu-a', 'SIGKILL');
    const task = await ran('scripts', { body: 'echo here', machines: ['web-1'] });
    expect(task).toMatchObject({ state: 'succeeded' });
    const { links } = await world.api.get<MeshView>('mesh');
    expect(links.find(({ from, to }) => from === 'server' && to === 'eu-a')).toMatchObject({ state: 'down' });
    await world.start('eu-a');
    await world.linked();
  });

  it('waits for the relay that its route names, and never takes the other', async () => {
    await world.signal('eu-a', 'SIGKILL');
    const { id } = await world.api.post<{ id: string }>('scripts', {
      body: `echo "$ISTHMUS_TASK" >> ${witness('web-2')}`,
      machines: ['web-2'],
    });
    // The path through eu-b is up all the time, for the machine whose route names it.
    expect(await ran('scripts', { body: 'echo here', machines: ['web-1'] })).toMatchObject({
      state: 'succeeded',
    });
    await waitFor(async () => (await world.api.stream(id)).some(({ kind }) => kind === 'message'), {
      limitMs,
      what: 'the message that it cannot be reached',
    });
    expect(await world.api.get(`tasks/${id}`)).toMatchObject({ state: 'running' });
    await expect(readFile(witness('web-2'))).rejects.toMatchObject({ code: 'ENOENT' });
    await world.start('eu-a');
    expect(await world.api.ended(id)).toMatchObject({ state: 'succeeded' });
    expect(await readFile(witness('web-2'), 'utf8')).toBe(`${id}\n`);
    await world.linked();
  });
});
