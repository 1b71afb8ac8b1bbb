// Lines cut in both directions or in one, at each stage of a deployment, and while idle.
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { waitFor } from '../support/wait.ts';
import { doomedLines, startDoomed } from './support/doomed.ts';
import { isLong, limits, linkTimeoutS } from './support/durations.ts';
import { labOfThisFile } from './support/open.ts';
import { lineNames } from './support/sites.ts';
import { reached, stages, wholeAgain, wholeAgainMs, type Stage } from './support/stages.ts';

const shape = { delayMs: 20, rateMbit: 6 };
/** The machine that shows a stage, for each line. */
const behind = { 'wan-eu': 'eu-1', 'wan-pci': 'pci-2', 'wan-us': 'us-1' } as const;
/** A silent link is ended within this time: the link survives a shorter cut, a longer one ends it. */
const foundMs = (linkTimeoutS + 5) * 1000;
const [shortS, longS] = isLong ? [5, 25] : [2, 10];
/**
 * The lines for long cuts: the server dials relay eu, and relay us dials the server. Not pci, which is behind eu and
 * would be cut after it.
 */
const cutForLong = ['wan-eu', 'wan-us'] as const;

type LineName = (typeof lineNames)[number];

interface Cut {
  readonly stage: Stage;
  readonly seconds: number;
  readonly lines: readonly LineName[];
}

const cutStages = stages.filter((stage) => stage !== 'the release is activated');
/** Each stage once for each length, with two cuts in a deployment: a short and a long one, half of the stages apart. */
const cuts = cutStages.map((stage, index) => {
  const half = cutStages.length / 2;
  const short: Cut = { stage, seconds: shortS, lines: lineNames };
  const other = cutStages[(index + half) % cutStages.length]!;
  const long: Cut = { stage: other, seconds: longS, lines: cutForLong };
  const [first, then] = index < half ? [short, long] : [long, short];
  const named = `${first.seconds} s when ${first.stage}, ${then.seconds} s when ${then.stage}`;
  return [named, [first, then]] as const;
});

const oneDirection = [
  { stage: 'half the package is here', direction: 'forward' },
  { stage: 'the post-deploy script runs', direction: 'backward' },
] as const;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('lines cut in the lab', () => {
  const open = labOfThisFile(shape, { limits });

  const isUp = async (node: string): Promise<boolean> => {
    const { links } = await open.world.api.get<{ links: { to: string; state: string }[] }>('mesh');
    return links.some(({ to, state }) => to === node && state === 'up');
  };

  /** Deploys, and cuts each line when the machine behind it has reached the stage. */
  const deployThrough = async (faults: readonly Cut[], direction: 'both' | 'forward' | 'backward'): Promise<void> => {
    const { lab, world, project } = open;
    const release = await project.release(400_000, 300);
    const task = await project.deploy(release, 240);
    await Promise.all(
      lineNames.map(async (line) => {
        for (const { stage, seconds, lines } of faults) {
          if (!lines.includes(line)) continue;
          await reached(stage, { open, task, release, machine: behind[line] });
          await lab.cut(line, direction);
          await sleep(seconds * 1000);
          await lab.heal(line);
        }
      }),
    );
    const healed = Date.now();
    const ended = await world.api.ended(task);
    await project.arrived(ended, release);
    expect(Date.now() - healed).toBeLessThan(wholeAgainMs);
    await wholeAgain(open);
  };

  test.for(cuts)('lines cut for %s: the deployment ends whole', ([, faults]) => deployThrough(faults, 'both'));

  test.for(oneDirection)(
    'every line cut $direction for long when $stage: the deployment ends whole',
    ({ stage, direction }) => deployThrough([{ stage, seconds: longS, lines: lineNames }], direction),
  );

  test('a cancel that is asked for while the line is cut, twice, ends the whole process group once it is back', async () => {
    const { lab, world, witness } = open;
    const doomed = await startDoomed(open, 'us-1');
    await lab.cut('wan-us');
    await world.api.post(`tasks/${doomed.id}/cancel`);
    await sleep(longS * 1000);
    await world.api.post(`tasks/${doomed.id}/cancel`);
    expect(await world.api.task(doomed.id)).toMatchObject({ state: 'cancelling' });
    expect(doomed.alive()).toBe(2);
    await lab.heal('wan-us');
    const task = await world.api.ended(doomed.id, wholeAgainMs);
    expect(task, JSON.stringify(task)).toMatchObject({ state: 'cancelled' });
    expect(doomed.alive()).toBe(0);
    await wholeAgain(open);
    // The task does not change any more, and no state was streamed twice.
    await world.api.post(`tasks/${doomed.id}/cancel`);
    expect(await world.api.task(doomed.id)).toEqual(task);
    const states = (await world.api.stream(doomed.id)).filter(({ kind, machine }) => kind === 'state' && !machine);
    expect(states.map(({ text }) => text)).toEqual(['queued', 'running', 'cancelling', 'cancelled']);
    expect(await witness.said('us-1', doomed.id, 'doomed')).toBe(doomedLines.doomed);
  });

  test('a line that goes silent while idle is found, and its descriptors are freed', async () => {
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
