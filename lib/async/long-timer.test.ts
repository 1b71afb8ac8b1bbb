// A timer beyond the limit of Node's timers fires once, at its moment.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { LongTimer } from './long-timer.ts';

const day = 24 * 3_600_000;
const action = vi.fn();
beforeEach(() => void vi.useFakeTimers({ now: 1_000 }));
afterEach(() => {
  vi.useRealTimers();
  action.mockReset();
});

it('waits longer than 31 bits of milliseconds, exactly', () => {
  new LongTimer(1_000 + 40 * day, action);
  vi.advanceTimersByTime(40 * day - 1);
  expect(action).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(action).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(40 * day);
  expect(action).toHaveBeenCalledOnce();
});

it('fires within a day of a clock that was set forward', () => {
  new LongTimer(1_000 + 40 * day, action);
  vi.setSystemTime(1_000 + 39.5 * day);
  vi.advanceTimersByTime(day);
  vi.advanceTimersByTime(1);
  expect(action).toHaveBeenCalledOnce();
});

it('follows another clock than the time of day', () => {
  let nowMs = 0;
  new LongTimer(2 * day, action, { now: () => nowMs });
  vi.setSystemTime(1_000 + 100 * day);
  vi.advanceTimersByTime((nowMs = day));
  expect(action).not.toHaveBeenCalled();
  vi.advanceTimersByTime(day);
  expect(action).toHaveBeenCalledOnce();
});

it('moves and stops', () => {
  const timer = new LongTimer(2_000, action);
  timer.moveTo(5_000);
  vi.advanceTimersByTime(2_000);
  expect(action).not.toHaveBeenCalled();
  timer.stop();
  vi.advanceTimersByTime(day);
  expect(action).not.toHaveBeenCalled();
});
