// When the wait for an answer is over.
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { AnswerTimeout } from './answer-timeout.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

it('aborts after so long without any answer, however often the machine is called', () => {
  const timeout = new AnswerTimeout(() => 1_000);
  vi.advanceTimersByTime(600);
  timeout.waits();
  vi.advanceTimersByTime(399);
  expect(timeout.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(timeout.signal.aborted).toBe(true);
});

it('has the limit that holds when the wait begins', () => {
  let leftMs = 1_000;
  const timeout = new AnswerTimeout(() => leftMs / 2);
  timeout.answered();
  leftMs = 100;
  timeout.waits();
  leftMs = 0;
  vi.advanceTimersByTime(49);
  expect(timeout.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(timeout.signal.aborted).toBe(true);
});

it('begins anew after an answer, and does not count while the machine is at work', () => {
  const timeout = new AnswerTimeout(() => 1_000);
  vi.advanceTimersByTime(900);
  timeout.answered();
  vi.advanceTimersByTime(10_000);
  timeout.waits();
  vi.advanceTimersByTime(999);
  expect(timeout.signal.aborted).toBe(false);
  vi.advanceTimersByTime(1);
  expect(timeout.signal.aborted).toBe(true);
});
