// The product where it is meant to run: three segregated sites behind long lines, both dial directions, two hops. Lines
// are cut and parts are killed at each stage; scripts and packages themselves say what happened.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import type { World } from '../support/world.ts';
import { deploy, makeProject, type LabRelease } from './support/deploying.ts';
import type { Lab } from './support/lab.ts';
import { layOut, lineNames, machineIds, machines, populate } from './support/sites.ts';
import { Witness } from './support/witness.ts';

const shape = { delayMs: 20, rateMbit: 50 };
const scriptLines = 40;
const mb = 1e6;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('the product in the lab', () => {
  let folder = '';
  let lab: Lab | undefined;
  let world: World;
  let witness: Witness;
  let release: (bodyBytes: number) => Promise<LabRelease>;

  const hosts = (): Lab => lab!;
  const startScripts = async (body: string, deadlineS = 180): Promise<string> =>
    (await world.api.post<{ id: string }>('scripts', { body, machines: machineIds, deadlineS })).id;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-lab-'));
    witness = await Witness.in(join(folder, 'witness'));
    lab = await layOut(shape);
    world = await populate(lab, folder);
    release = await makeProject(world, folder, witness, scriptLines);
  }, 240_000);

  afterAll(async () => {
    await world?.stop();
    await lab?.down();
    await rm(folder, { recursive: true, force: true });
  });

  test('every node enrolled from inside its own namespace, and none but relays can cross', async () => {
    const { items } = await world.api.get<{ items: { id: string; role: string; state: string }[] }>('nodes');
    expect(items.filter(({ role }) => role !== 'server').every(({ state }) => state === 'active')).toBe(true);
    expect(items).toHaveLength(1 + 3 + 2 + machineIds.length);
    for (const host of [...machineIds, 'mirror-eu', 'mirror-pci']) {
      const routes = await hosts().run(host, 'ip', ['-4', 'route', 'show']);
      expect(routes.trim().split('\n'), host).toHaveLength(1);
    }
  });

  test('a health check goes down the route of every machine', async () => {
    const { id } = await world.api.post<{ id: string }>('health-checks', { machines: machineIds });
    const task = await world.api.ended(id);
    expect(task, JSON.stringify(task)).toMatchObject({ state: 'succeeded' });
    expect(task.machines.map(({ machine }) => machine).sort()).toEqual([...machineIds].sort());
  });

  test('a deployment succeeds everywhere, and its package crosses each long line once', async () => {
    const made = await release(6 * mb);
    const before = await Promise.all(lineNames.map((line) => hosts().bytes(line)));
    const task = await world.api.ended(await deploy(world, made));
    const after = await Promise.all(lineNames.map((line) => hosts().bytes(line)));
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    for (const [index, line] of lineNames.entries()) {
      const crossed = after[index]!.forward - before[index]!.forward;
      expect(crossed, line).toBeGreaterThan(made.packageBytes);
      expect(crossed, line).toBeLessThan(made.packageBytes * 1.3);
    }
    await witness.agrees(world.api, task, scriptLines);
    const said = (await world.api.stream(task.id)).filter(({ text }) => text === `${made.bodySha256}  body.bin`);
    expect(said.map(({ machine }) => machine).sort()).toEqual([...machineIds].sort());
  });

  test.for([
    { line: 'wan-us', seconds: 3 },
    { line: 'wan-pci', seconds: 25 },
    { line: 'wan-eu', seconds: 25 },
  ] as const)('a cut of $line for $seconds s while scripts run loses no line', async ({ line, seconds }) => {
    const id = await startScripts(witness.script(100, 100));
    const behind = machineIds.filter(
      (machine) => machines[machine as keyof typeof machines].via.at(-1) === line.slice(4),
    );
    await waitFor(async () => (await witness.said(behind[0]!, id)) > 10, {
      limitMs: 30_000,
      what: 'the script to run',
    });
    await hosts().cut(line);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    await hosts().heal(line);
    const healed = Date.now();
    const task = await world.api.ended(id);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    expect(Date.now() - healed).toBeLessThan(30_000);
    await witness.agrees(world.api, task, 100);
  });

  const parts = ['server', 'eu', 'pci', 'us', 'eu-1', 'pci-2'];
  const stages = {
    'a script is accepted': () => Promise.resolve(true),
    'its script has started': async (id: string) => (await witness.said('eu-1', id)) > 0,
    'its log streams': async (id: string) => (await witness.said('eu-1', id)) > scriptLines / 2,
  };
  const kills = parts.flatMap((part) => Object.keys(stages).map((stage) => ({ part, stage })));

  test.for(kills)('$part killed when $stage: every script ran once, its log is whole', async ({ part, stage }) => {
    const id = await startScripts(witness.script(scriptLines, 50));
    await waitFor(() => stages[stage as keyof typeof stages](id), { limitMs: 30_000, everyMs: 5, what: stage });
    await world.signal(part, 'SIGKILL');
    await world.start(part);
    const back = Date.now();
    const task = await world.api.ended(id);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    expect(Date.now() - back).toBeLessThan(30_000);
    await witness.agrees(world.api, task, scriptLines);
  });

  test('a deployment completes over a poor line, and its link never counts as dead', async () => {
    const poor = { delayMs: 150, rateMbit: 2, lossPercent: 2 };
    const made = await release(0.5 * mb);
    const linkOfUs = async (): Promise<unknown> => {
      const { links } = await world.api.get<{ links: { to: string; up: boolean }[] }>('mesh');
      return links.find(({ to }) => to === 'us');
    };
    expect(await linkOfUs()).toMatchObject({ up: true });
    await hosts().shape('wan-us', poor);
    try {
      const id = await deploy(world, made);
      let ended = false;
      const task = world.api.ended(id, 180_000).finally(() => (ended = true));
      while (!ended) {
        expect(await linkOfUs()).toMatchObject({ up: true });
        await Promise.race([task, new Promise((resolve) => setTimeout(resolve, 500))]);
      }
      expect((await task).state, JSON.stringify(await task)).toBe('succeeded');
      await witness.agrees(world.api, await task, scriptLines);
    } finally {
      await hosts().shape('wan-us', shape);
    }
  });

  test.for([
    { part: 'server', line: 'wan-eu' },
    { part: 'eu', line: 'wan-eu' },
    { part: 'pci', line: 'wan-pci' },
    { part: 'mirror-eu', line: 'wan-eu' },
    { part: 'mirror-pci', line: 'wan-pci' },
    { part: 'us-1', line: 'wan-us' },
  ] as const)('$part killed while the package crosses $line: the deployment ends whole', async ({ part, line }) => {
    const made = await release(4 * mb);
    await Promise.all(lineNames.map((name) => hosts().shape(name, { ...shape, rateMbit: 12 })));
    try {
      const { forward } = await hosts().bytes(line);
      const id = await deploy(world, made);
      const half = forward + made.packageBytes / 2;
      await waitFor(async () => (await hosts().bytes(line)).forward > half, {
        limitMs: 60_000,
        what: 'half the package',
      });
      await world.signal(part, 'SIGKILL');
      await world.start(part);
      const task = await world.api.ended(id, 180_000);
      expect(task.state, JSON.stringify(task)).toBe('succeeded');
      await witness.agrees(world.api, task, scriptLines);
      const said = (await world.api.stream(id)).filter(({ text }) => text === `${made.bodySha256}  body.bin`);
      expect(said).toHaveLength(machineIds.length);
    } finally {
      await Promise.all(lineNames.map((name) => hosts().shape(name, shape)));
    }
  });
});
