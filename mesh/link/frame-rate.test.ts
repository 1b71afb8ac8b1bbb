// What waits for its turn keeps its order, and no more goes out than a neighbour takes.
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { FrameRate } from './frame-rate.ts';

/** What a session's guard lets in. */
const allowed = { perSecond: 10_000, burst: 10_000 };

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

it('sends at once what is within the rate', () => {
  const rate = new FrameRate();
  let sent = 0;
  for (let i = 0; i < 1_000; i += 1) rate.whenFree(() => (sent += 1));
  expect(sent).toBe(1_000);
});

it('spaces more, in its order, well below what ends a link', () => {
  const rate = new FrameRate();
  const sent: number[] = [];
  for (let i = 0; i < 40_000; i += 1) rate.whenFree(() => sent.push(i));
  expect(sent.length).toBeLessThanOrEqual(allowed.burst / 2);
  vi.advanceTimersByTime(1_000);
  expect(sent.length).toBeLessThanOrEqual((allowed.burst + allowed.perSecond) / 2);
  vi.advanceTimersByTime(60_000);
  expect(sent).toEqual(Array.from({ length: 40_000 }, (_, i) => i));
});
