// A barely usable line: a satellite's delay, loss, and a rate that one package fills for a minute, and where
// ISTHMUS_LONG is set for about an hour.
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { isLong } from './support/durations.ts';
import { labOfThisFile } from './support/open.ts';
import { reached } from './support/stages.ts';

const shape = { delayMs: 20, rateMbit: 50 };
const poor = { delayMs: 150, rateMbit: 0.256, lossPercent: 5 };
const minuteMs = 60_000;
const [lines, lineEveryMs] = [100, 100];
/** For a call over this line beside the package: a dozen round trips, some of them repeated. */
const answeredMs = 20_000;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('300 ms, 5 % loss, 256 kbit/s', () => {
  const open = labOfThisFile(shape);

  const deployOverPoorLine = async (bodyBytes: number, limitMs: number): Promise<void> => {
    const { lab, world, project, witness } = open;
    const release = await project.release(bodyBytes);
    const linkOfUs = async (): Promise<unknown> => {
      const { links } = await world.api.get<{ links: { to: string; state: string }[] }>('mesh');
      return links.find(({ to }) => to === 'us');
    };
    const losses = async (): Promise<number> => (await world.log('us', Infinity)).split('link lost').length - 1;
    const before = await losses();
    expect(await linkOfUs()).toMatchObject({ state: 'up' });
    await lab.shape('wan-us', poor);
    try {
      const id = await project.deploy(release, limitMs / 1000);
      await reached('the package is asked for', { open, task: id, release, machine: 'us-1' });
      // Logs and a health check share the line with the package.
      const body = witness.script('beside', lines, lineEveryMs);
      const beside = (await world.api.post<{ id: string }>('scripts', { body, machines: ['us-1'] })).id;
      const check = (await world.api.post<{ id: string }>('health-checks', { machines: ['us-1'] })).id;
      const checked = await world.api.ended(check, answeredMs);
      expect(checked.state, JSON.stringify(checked)).toBe('succeeded');
      const printed = await world.api.ended(beside, lines * lineEveryMs + answeredMs);
      expect(printed.state, JSON.stringify(printed)).toBe('succeeded');
      await witness.agrees(world.api, printed, { beside: lines });
      // All of that during the transfer of the package.
      const { machines } = await world.api.task(id);
      const acquiring = machines
        .find(({ machine }) => machine === 'us-1')
        ?.steps.find(({ action }) => action === 'acquire');
      expect(acquiring?.state).toBe('sent');
      let ended = false;
      const task = world.api.ended(id, limitMs + minuteMs).finally(() => (ended = true));
      while (!ended) {
        expect(await linkOfUs()).toMatchObject({ state: 'up' });
        await Promise.race([task, new Promise((resolve) => setTimeout(resolve, 500))]);
      }
      await project.arrived(await task, release);
      expect(await losses()).toBe(before);
    } finally {
      await lab.shape('wan-us', shape);
    }
  };

  test(
    '1.2 MB are deployed beside logs and a health check, and the link never counts as dead',
    () => deployOverPoorLine(1.2e6, 6 * minuteMs),
    8 * minuteMs,
  );

  test.skipIf(!isLong)('so are 50 MB', () => deployOverPoorLine(50e6, 90 * minuteMs), 95 * minuteMs);
});
