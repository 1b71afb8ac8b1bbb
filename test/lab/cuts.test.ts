// Lines that are cut, whole or one way only, at each stage of a deployment, under scripts that print, and while nothing
// is under way.
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { openLab, type OpenLab } from './support/open.ts';
import { lineNames, machineIds } from './support/sites.ts';
import { reached, stages, wholeAgain, wholeAgainMs, type Stage } from './support/stages.ts';

const shape = { delayMs: 20, rateMbit: 6 };
const long = (process.env['ISTHMUS_LAB_LONG'] ?? '') !== '';
/** Where a stage is seen for the cut of a line. */
const behind = { 'wan-eu': 'eu-1', 'wan-pci': 'pci-2', 'wan-us': 'us-1' } as const;
/** A link that hears nothing is given up within this. */
const foundMs = 20_000;

interface Cut {
  readonly stage: Stage;
  readonly way: 'both' | 'forward' | 'backward';
  readonly seconds: number;
}

const cuts: Cut[] = [
  ...stages
    .filter((stage) => stage !== 'the release is activated')
    .map((stage) => ({ stage, way: 'both' as const, seconds: 5 })),
  { stage: 'half the package is here', way: 'both', seconds: 25 },
  { stage: 'the post-deploy script runs', way: 'both', seconds: 25 },
  { stage: 'half the package is here', way: 'forward', seconds: 25 },
  { stage: 'the post-deploy script runs', way: 'backward', seconds: 25 },
];

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('lines cut in the lab', () => {
  let open: OpenLab;

  beforeAll(async () => {
    open = await openLab(shape);
  });
  afterAll(() => open?.close());

  const isUp = async (node: string): Promise<boolean> => {
    const { links } = await open.world.api.get<{ links: { to: string; up: boolean }[] }>('mesh');
    return links.some(({ to, up }) => to === node && up);
  };

  test.for(cuts)('every line cut ($way) for $seconds s when $stage: the deployment ends whole', async (cut) => {
    const { lab, world, project } = open;
    const release = await project.release(400_000, 300);
    const task = await project.deploy(release);
    await Promise.all(
      lineNames.map(async (line) => {
        await reached(cut.stage, { open, task, release, machine: behind[line] });
        await lab.cut(line, cut.way);
        await sleep(cut.seconds * 1000);
        await lab.heal(line);
      }),
    );
    const healed = Date.now();
    const ended = await world.api.ended(task);
    await project.arrived(ended, release);
    expect(Date.now() - healed).toBeLessThan(wholeAgainMs);
    await wholeAgain(open);
  });

  /** Scripts print on both sides of the cut until shortly before it heals. */
  const partition = async (seconds: number): Promise<void> => {
    const { lab, world, witness } = open;
    const lines = seconds * 8;
    const body = witness.script('long', lines, 100);
    const { id } = await world.api.post<{ id: string }>('scripts', {
      body,
      machines: machineIds,
      deadlineS: 2 * seconds + 180,
    });
    await waitFor(async () => (await witness.said('pci-1', id, 'long')) > 10, {
      limitMs: 30_000,
      what: 'the script to run',
    });
    await lab.cut('wan-eu');
    await sleep(seconds * 1000);
    const { state, machines } = await world.api.task(id);
    expect(state).toBe('running');
    expect(machines.filter((each) => each.state === 'failed')).toEqual([]);
    await waitFor(() => witness.hasEnded('pci-1', id, 'long'), { limitMs: seconds * 1000, what: 'the script to end' });
    await lab.heal('wan-eu');
    const healed = Date.now();
    const task = await world.api.ended(id);
    expect(Date.now() - healed).toBeLessThan(wholeAgainMs);
    expect(task.state, JSON.stringify(task)).toBe('succeeded');
    await witness.agrees(world.api, task, { long: lines });
    await wholeAgain(open);
  };

  test('a site parted from its server for 40 s keeps the log of its scripts, and loses no line', () => partition(40));

  test.skipIf(!long)('so does one for 5 minutes', () => partition(300), 900_000);

  test('a line that goes silent while idle is found within 20 s, and its descriptors are freed', async () => {
    const { lab, world } = open;
    const descriptors = async (id: string): Promise<number> => (await readdir(`/proc/${world.pid(id)}/fd`)).length;
    const ends = ['server', 'us'] as const;
    await wholeAgain(open);
    const before = await Promise.all(ends.map(descriptors));
    await lab.cut('wan-us');
    try {
      await waitFor(async () => !(await isUp('us')), {
        limitMs: foundMs,
        everyMs: 50,
        what: 'the silence to be found',
      });
      await waitFor(async () => (await descriptors('server')) < before[0]!, {
        what: 'the server to let go of the connection',
      });
    } finally {
      await lab.heal('wan-us');
    }
    await world.linked(['us'], wholeAgainMs);
    await waitFor(
      async () => {
        const now = await Promise.all(ends.map(descriptors));
        if (now.some((count, end) => count > before[end]!))
          throw new Error(`${now.join(', ')}, before ${before.join(', ')}`);
        return true;
      },
      { limitMs: wholeAgainMs, everyMs: 100, what: 'as many descriptors as before' },
    );
  });
});
