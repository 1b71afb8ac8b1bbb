// A clock that is set, by hand.
import { expect, it } from 'vitest';
import { DAY_MS } from '../time.ts';
import { CautiousClock } from './cautious-clock.ts';
import { ClockWatch } from './clock-watch.ts';
import { TokenBucket } from './token-bucket.ts';

const HOUR_MS = 3_600_000;

function handClocks() {
  const at = { wallMs: 1_800_000_000_000, monotonicMs: 500 };
  return {
    wall: () => at.wallMs,
    monotonic: () => at.monotonicMs,
    advance(ms: number) {
      at.wallMs += ms;
      at.monotonicMs += ms;
    },
    set(byMs: number) {
      at.wallMs += byMs;
    },
  };
}

it.each([HOUR_MS, -HOUR_MS, 25 * HOUR_MS])('a watch tells a jump of %i ms until it is accepted, once', (byMs) => {
  const clocks = handClocks();
  const watch = new ClockWatch(clocks);
  clocks.advance(60_000);
  expect(watch.jumpMs()).toBe(0);
  clocks.set(byMs);
  expect([watch.jumpMs(), watch.jumpMs()]).toEqual([byMs, byMs]);
  watch.accept(byMs);
  clocks.advance(60_000);
  expect(watch.jumpMs()).toBe(0);
});

it('tells the time as the clock was set at the last look, not as it was set since', () => {
  const clocks = handClocks();
  const watch = new ClockWatch(clocks);
  const start = clocks.wall();
  clocks.advance(1_000);
  expect(watch.now(watch.jumpMs())).toBe(start + 1_000);
  clocks.set(HOUR_MS);
  expect(watch.now(0)).toBe(start + 1_000);
  expect(watch.now(watch.jumpMs())).toBe(start + 1_000 + HOUR_MS);
});

it('a clock that is slewed has not jumped, however far it goes', () => {
  const clocks = handClocks();
  const watch = new ClockWatch(clocks);
  for (let n = 0; n < 1_000; n += 1) {
    clocks.advance(500);
    clocks.set(10);
    expect(watch.jumpMs()).toBe(0);
  }
});

it.each([365 * DAY_MS, -365 * DAY_MS, 8 * DAY_MS])('a cautious clock follows a jump of %i ms after a day', (byMs) => {
  const clocks = handClocks();
  const clock = new CautiousClock(clocks);
  const start = clocks.wall();
  clocks.advance(HOUR_MS);
  clocks.set(byMs);
  expect(clock.now()).toBe(start + HOUR_MS);
  clocks.advance(DAY_MS - 1);
  expect(clock.now()).toBe(start + HOUR_MS + DAY_MS - 1);
  clocks.advance(1);
  expect(clock.now()).toBe(clocks.wall());
});

it('a cautious clock forgets a jump that is set right within the day', () => {
  const clocks = handClocks();
  const clock = new CautiousClock(clocks);
  for (let day = 0; day < 3; day += 1) {
    clocks.set(30 * DAY_MS);
    const before = clock.now();
    clocks.advance(DAY_MS / 2);
    expect(clock.now()).toBe(before + DAY_MS / 2);
    clocks.set(-30 * DAY_MS);
    clocks.advance(DAY_MS / 2);
    expect(clock.now()).toBe(clocks.wall());
  }
});

it('a token bucket gives what it has whatever the clock of the machine says', () => {
  const bucket = new TokenBucket(1, 3);
  const now = Date.now;
  try {
    Date.now = () => now() - HOUR_MS;
    expect([bucket.take(), bucket.take(), bucket.take(), bucket.take()]).toEqual([true, true, true, false]);
  } finally {
    Date.now = now;
  }
});
