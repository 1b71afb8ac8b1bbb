// A line at the edge of use: a satellite's delay, loss, and a rate that one package fills for a long time. The quick form
// always; the whole of it, about 40 minutes, where ISTHMUS_LAB_LONG is set.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { openLab, type OpenLab } from './support/open.ts';

const shape = { delayMs: 20, rateMbit: 50 };
const poor = { delayMs: 150, rateMbit: 0.256, lossPercent: 5 };
const long = (process.env['ISTHMUS_LAB_LONG'] ?? '') !== '';
const minuteMs = 60_000;

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('300 ms, 5 % loss, 256 kbit/s', () => {
  let open: OpenLab;
  beforeAll(async () => {
    open = await openLab(shape);
  });
  afterAll(() => open?.close());

  const deployOverPoorLine = async (bodyBytes: number, limitMs: number): Promise<void> => {
    const { lab, world, project } = open;
    const release = await project.release(bodyBytes);
    const linkOfUs = async (): Promise<unknown> => {
      const { links } = await world.api.get<{ links: { to: string; up: boolean }[] }>('mesh');
      return links.find(({ to }) => to === 'us');
    };
    const losses = async (): Promise<number> => (await world.log('us', Infinity)).split('link lost').length - 1;
    const before = await losses();
    expect(await linkOfUs()).toMatchObject({ up: true });
    await lab.shape('wan-us', poor);
    try {
      const id = await project.deploy(release, limitMs / 1000);
      let ended = false;
      const task = world.api.ended(id, limitMs + minuteMs).finally(() => (ended = true));
      while (!ended) {
        expect(await linkOfUs()).toMatchObject({ up: true });
        await Promise.race([task, new Promise((resolve) => setTimeout(resolve, 500))]);
      }
      await project.arrived(await task, release);
      expect(await losses()).toBe(before);
    } finally {
      await lab.shape('wan-us', shape);
    }
  };

  test(
    'a deployment with logs completes, and its link never counts as dead',
    () => deployOverPoorLine(3e5, 4 * minuteMs),
    6 * minuteMs,
  );

  test.skipIf(!long)('so does one of 50 MB', () => deployOverPoorLine(50e6, 90 * minuteMs), 95 * minuteMs);
});
