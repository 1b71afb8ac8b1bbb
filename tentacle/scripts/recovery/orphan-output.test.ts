// How often all processes are scanned for those that outlive their scripts.
import { expect, it } from 'vitest';
import { restAfterMs } from './orphan-output.ts';

it('rests for a hundred times what a look took', () => {
  expect(restAfterMs(8)).toBe(800);
});

it('rests for five seconds at most: the disk of a slow machine fills as fast', () => {
  expect(restAfterMs(51)).toBe(5_000);
  expect(restAfterMs(60_000)).toBe(5_000);
});
