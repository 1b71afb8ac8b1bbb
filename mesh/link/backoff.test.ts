// Peers of one node that restarted do not come back in step, and none waits longer than the cap.
import { expect, it } from 'vitest';
import { backoffMs } from './backoff.ts';

const limits = { backoffBaseMs: 100, backoffCapMs: 10_000 };

it('doubles the ceiling with each failure, up to the cap', () => {
  const ceilings = [0, 1, 2, 6, 7, 50].map((failures) => backoffMs(failures, limits, () => 1));
  expect(ceilings).toEqual([100, 200, 400, 6_400, 10_000, 10_000]);
});

it('spreads a thousand peers evenly below the ceiling', () => {
  const waits = Array.from({ length: 1_000 }, () => backoffMs(20, limits));
  const perTenth = Array.from({ length: 10 }, (_, tenth) => {
    return waits.filter((ms) => ms >= tenth * 1_000 && ms < (tenth + 1) * 1_000).length;
  });
  // A hundred each; that an even spread strays so far happens once in a million runs.
  for (const peers of perTenth) expect(Math.abs(peers - 100)).toBeLessThan(60);
});
