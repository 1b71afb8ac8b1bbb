// How slow a source of bytes may be: only its own time counts, and enough bytes begin the time anew.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProgressFloor } from './progress-floor.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watch() {
  const slow = vi.fn();
  return { slow, floor: new ProgressFloor({ bytes: 1_000, withinMs: 10_000 }, slow) };
}

function receive(floor: ProgressFloor, bytes: number, afterMs: number): void {
  floor.wait();
  vi.advanceTimersByTime(afterMs);
  floor.received(bytes);
}

it('is below it when too few bytes come, however often', () => {
  const { slow, floor } = watch();
  for (let second = 0; second < 9; second += 1) receive(floor, 1, 1_000);
  expect(slow).not.toHaveBeenCalled();
  receive(floor, 1, 1_000);
  expect(slow).toHaveBeenCalledExactlyOnceWith({ bytes: 9, ms: 10_000 });
});

it('is above it when enough bytes come just in time, time and again', () => {
  const { slow, floor } = watch();
  for (let round = 0; round < 20; round += 1) receive(floor, 1_000, 9_999);
  expect(slow).not.toHaveBeenCalled();
});

it('is below it as soon as a good source has become a bad one', () => {
  const { slow, floor } = watch();
  receive(floor, 1_000_000, 5_000);
  floor.wait();
  vi.advanceTimersByTime(9_999);
  expect(slow).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(slow).toHaveBeenCalledOnce();
});

it('does not count what the receiver does with the bytes', () => {
  const { slow, floor } = watch();
  for (let round = 0; round < 9; round += 1) {
    receive(floor, 1, 1_000);
    vi.advanceTimersByTime(60_000);
  }
  expect(slow).not.toHaveBeenCalled();
  floor.wait();
  floor.stop();
  vi.advanceTimersByTime(60_000);
  expect(slow).not.toHaveBeenCalled();
});
