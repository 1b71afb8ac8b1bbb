// Peers of a restarted node do not reconnect in step, and none waits longer than the cap.
import { expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';

const backoff = { baseMs: 100, capMs: 10_000 };

it('doubles the ceiling with each failure, up to the cap', () => {
  const ceilings = [0, 1, 2, 6, 7, 50, 5_000].map((failures) => backoffMs(failures, backoff, () => 1));
  expect(ceilings).toEqual([100, 200, 400, 6_400, 10_000, 10_000, 10_000]);
});

it('grows by another factor', () => {
  const ceilings = [0, 1, 2, 9].map((failures) => backoffMs(failures, { ...backoff, factor: 3 }, () => 1));
  expect(ceilings).toEqual([100, 300, 900, 10_000]);
});

it('waits at least half of the ceiling with half jitter, and may not wait at all with full', () => {
  expect(backoffMs(1, { ...backoff, jitter: 'half' }, () => 0)).toBe(100);
  expect(backoffMs(1, { ...backoff, jitter: 'half' }, () => 1)).toBe(200);
  expect(backoffMs(1, backoff, () => 0)).toBe(0);
});

it('spreads a thousand peers evenly below the ceiling', () => {
  const waits = Array.from({ length: 1_000 }, () => backoffMs(20, backoff));
  const perTenth = Array.from({ length: 10 }, (_, tenth) => {
    return waits.filter((ms) => ms >= tenth * 1_000 && ms < (tenth + 1) * 1_000).length;
  });
  // A hundred each; an even spread deviates so far once in a million runs.
  for (const peers of perTenth) expect(Math.abs(peers - 100)).toBeLessThan(60);
});
