// Clock changes while a node and a script run: by an hour, forward and back, and right again. The script runs once, its
// log is complete, and everything works afterwards.
import { execFileSync } from 'node:child_process';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Witness } from '../lab/support/witness.ts';
import { lacks } from '../support/needs.ts';
import { onThisMachine, type Spawner } from '../support/spawner.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

const parts = ['server', 'relay-eu', 'web-1'] as const;
type Part = (typeof parts)[number];

const lines = 50;
const minute = { limitMs: 60_000 };

describe.skipIf(lacks('faketime'))('a clock that is set while a script runs', () => {
  let world: World;
  let witness: Witness;
  let folder: string;
  /** How often the clock of the server was set. */
  let jumps = 0;

  /** Sets the clock of a part off by so much; the steps of time stay real. */
  const set = async (part: Part, offsetS: number): Promise<void> => {
    const file = join(folder, `${part}.clock`);
    await writeFile(`${file}.new`, offsetS < 0 ? `${offsetS}` : `+${offsetS}`);
    await rename(`${file}.new`, file);
  };

  const ownClock = (part: Part): Spawner => {
    const library = execFileSync('faketime', ['-f', '+0', 'sh', '-c', 'echo "$LD_PRELOAD"'], {
      encoding: 'utf8',
    }).trim();
    const clock = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: join(folder, `${part}.clock`),
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    return (command, args, options) =>
      onThisMachine(command, args, { ...options, env: { ...process.env, ...options.env, ...clock } });
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-clocks-'));
    for (const part of parts) await set(part, 0);
    const meshListen = `127.0.0.1:${await freePort()}`;
    const apiListen = `127.0.0.1:${await freePort()}`;
    world = await World.up({ folder, meshListen, apiListen, spawner: ownClock('server') });
    const listen = `127.0.0.1:${await freePort()}`;
    await world.api.post('sites', { id: 'eu' });
    await world.add({
      ...{ id: 'relay-eu', role: 'relay', site: 'eu', parent: 'server', parentAddress: meshListen, listen },
      spawner: ownClock('relay-eu'),
    });
    await world.add({
      ...{ id: 'web-1', role: 'tentacle', site: 'eu', parent: 'relay-eu', parentAddress: listen },
      machine: { routes: [{ kind: 'path', via: ['relay-eu'] }] },
      spawner: ownClock('web-1'),
    });
    await world.linked();
    witness = await Witness.in(join(folder, 'witness'));
  });
  afterAll(async () => {
    await world?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const isHealthy = async (): Promise<boolean> => {
    const { id } = await world.api.post<{ id: string }>('health-checks', { machines: ['web-1'] });
    return (await world.api.ended(id)).state === 'succeeded';
  };

  const cases = parts.flatMap((part) => [3_600, -3_600].map((offsetS) => ({ part, offsetS })));

  it.each(cases)('of $part by $offsetS s', { timeout: 120_000 }, async ({ part, offsetS }) => {
    const body = witness.script('work', lines, 100);
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines: ['web-1'], deadlineS: 1_800 });
    const said = (count: number) => waitFor(async () => (await witness.said('web-1', id, 'work')) >= count, minute);
    try {
      await said(5);
      await set(part, offsetS);
      // No other node depends on a relay's clock.
      if (part === 'relay-eu') await said(30);
      else await waitFor(async () => !(await isHealthy()), minute);
    } finally {
      await set(part, 0);
    }
    const task = await world.api.ended(id);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    const { items } = await world.api.get<{ items: unknown[] }>('events?type=clock.jumped&limit=100');
    jumps += part === 'server' ? 2 : 0;
    expect(items).toHaveLength(jumps);
    await witness.agrees(world.api, task, { work: lines });
    await waitFor(isHealthy, minute);
  });
});
