// A machine whose scripts print a GB a minute, and a line of 20 MB, delays nobody: another machine's first line comes
// as fast as in calm, in the same run, and what the server keeps of the flood is bounded.
import { expect, it, onTestFinished } from 'vitest';
import type { LogEntry } from '../support/api.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World } from '../support/world.ts';

async function world(): Promise<World> {
  const folder = await tempDir();
  const meshListen = `127.0.0.1:${await freePort()}`;
  const built = await World.up({ folder, meshListen, apiListen: `127.0.0.1:${await freePort()}` });
  onTestFinished(() => built.stop());
  const listen = `127.0.0.1:${await freePort()}`;
  await built.api.post('sites', { id: 'eu' });
  await built.add({ id: 'eu', role: 'relay', site: 'eu', parent: 'server', parentAddress: meshListen, listen });
  for (const id of ['loud', 'quiet']) {
    await built.add({ id, role: 'tentacle', site: 'eu', parent: 'eu', parentAddress: listen });
  }
  await built.linked();
  return built;
}

const calmProbes = 5;
const floodedProbes = 9;
/** How much slower than in calm the first line may come: with few cores, the same ones produce the flood. */
const mostTimesSlower = { half: 10, all: 50 };
/** What a busy machine may add, however fast the calm was. */
const slackMs = 1_000;

/** In order of size. */
const sorted = (values: readonly number[]): number[] => values.toSorted((one, other) => one - other);
const median = (values: readonly number[]): number => sorted(values)[Math.floor(values.length / 2)]!;

it('a flood of one machine does not keep the first line of another waiting', { timeout: 300_000 }, async () => {
  const { api } = await world();
  const run = async (machine: string, body: string): Promise<string> => {
    const { id } = await api.post<{ id: string }>('scripts', { body, machines: [machine] });
    return id;
  };
  const firstLineMs = async (): Promise<number> => {
    const begunMs = performance.now();
    const came: number[] = [];
    await api.follow(await run('quiet', 'echo here'), ({ kind }) => {
      if (kind === 'log') came.push(performance.now() - begunMs);
    });
    return came[0]!;
  };
  const times = async (count: number): Promise<number[]> => {
    const all: number[] = [];
    while (all.length < count) all.push(await firstLineMs());
    return all;
  };
  await firstLineMs();
  const calm = await times(calmProbes);
  const line = `yes "$(printf 'x%.0s' {1..100})" | head -c 200000000`;
  const flood = await run('loud', `head -c 20000000 /dev/zero | tr '\\0' x; echo; ${line}; echo done`);
  const log = async (): Promise<LogEntry[]> =>
    (await api.get<{ items: LogEntry[] }>(`tasks/${flood}/log?limit=10`)).items.filter(({ kind }) => kind === 'log');
  const [first] = await waitFor(async () => ((await log()).length > 0 ? log() : undefined), {
    limitMs: 60_000,
    what: 'the flood',
  });
  expect(first).toMatchObject({ text: 'x'.repeat(64 * 1024), ending: 'open' });
  const flooded = await times(floodedProbes);
  // The flood ends when its last line is stored: all these lines came during it.
  expect(await api.task(flood)).toMatchObject({ state: 'running', endedAt: null });
  expect(median(flooded)).toBeLessThan(mostTimesSlower.half * median(calm) + slackMs);
  expect(Math.max(...flooded)).toBeLessThan(mostTimesSlower.all * median(calm) + slackMs);
});
