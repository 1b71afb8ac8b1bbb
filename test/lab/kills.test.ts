// Each part is killed at each stage of a deployment. Parts that do not depend on each other are killed in the same one.
// The kill comes when the stage is seen, in the files of the machine or in the task, and not after some time.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { openLab, type OpenLab } from './support/open.ts';
import { machineIds, type MachineId } from './support/sites.ts';
import { reached, stages, wholeAgain, wholeAgainMs } from './support/stages.ts';

/** Thin, so that a package is seen on its way. */
const shape = { delayMs: 20, rateMbit: 6 };
const bodyBytes = 400_000;
/** So that unpacking takes long enough to be seen. */
const smallFiles = 300;

/** Which machine shows the stage, for the part that is killed then. */
const watched = {
  server: 'pci-1',
  eu: 'eu-1',
  pci: 'pci-2',
  us: 'us-1',
  'mirror-eu': 'eu-2',
  'mirror-pci': 'pci-1',
  'eu-1': 'eu-1',
  'eu-2': 'eu-2',
  'pci-1': 'pci-1',
  'pci-2': 'pci-2',
  'us-1': 'us-1',
} as const satisfies Record<string, MachineId>;

type Part = keyof typeof watched;

const independent: readonly (readonly Part[])[] = [
  ['server'],
  ['eu', 'us'],
  ['pci', 'eu-1', 'us-1'],
  ['mirror-eu', 'pci-1'],
  ['mirror-pci', 'eu-2', 'pci-2'],
];

const kills = stages.flatMap((stage) => independent.map((parts) => ({ parts, named: parts.join(', '), stage })));

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('parts killed in the lab', () => {
  let open: OpenLab;

  beforeAll(async () => {
    open = await openLab(shape);
  });
  afterAll(() => open?.close());

  const killAndStart = async (part: Part): Promise<void> => {
    await open.world.signal(part, 'SIGKILL');
    await open.world.start(part);
  };

  test.for(kills)('$named killed when $stage: the deployment ends whole', async ({ parts, stage }) => {
    const { world, project } = open;
    const release = await project.release(bodyBytes, smallFiles);
    const task = await project.deploy(release);
    await Promise.all(
      parts.map(async (part) => {
        await reached(stage, { open, task, release, machine: watched[part] });
        await killAndStart(part);
      }),
    );
    const back = Date.now();
    const ended = await world.api.ended(task);
    await project.arrived(ended, release);
    expect(Date.now() - back).toBeLessThan(wholeAgainMs);
    await wholeAgain(open);
  });

  test.for(independent.map((parts) => ({ parts, named: parts.join(', ') })))(
    '$named killed during a health check: it ends, and soon one finds all healthy',
    async ({ parts }) => {
      const { api } = open.world;
      const check = async (): Promise<string> =>
        (await api.post<{ id: string }>('health-checks', { machines: machineIds })).id;
      const id = await check();
      await Promise.all(parts.map(killAndStart));
      const task = await api.ended(id);
      expect(['succeeded', 'failed'], JSON.stringify(task)).toContain(task.state);
      expect(task.machines.map(({ machine }) => machine).sort()).toEqual([...machineIds].sort());
      expect(task.machines.every(({ state }) => ['succeeded', 'failed'].includes(state))).toBe(true);
      await wholeAgain(open);
      // What a child last said of its link to a relay that was killed may be older than the relay's restart.
      await waitFor(async () => (await api.ended(await check())).state === 'succeeded', {
        limitMs: wholeAgainMs,
        what: 'a check that finds all healthy',
      });
    },
  );
});
