// The window of warmings, by day and over midnight.
import { expect, it } from 'vitest';
import { untilWindow } from './window.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

it.each([
  ['by day, before it', '09:00', '11:30', 8, 1, 3.5],
  ['at its first moment', '09:00', '11:30', 9, 0, 2.5],
  ['in it', '09:00', '11:30', 10, 0, 1.5],
  ['at its end', '09:00', '11:30', 11.5, 21.5, 24],
  ['over midnight, before it', '22:00', '06:00', 12, 10, 18],
  ['over midnight, in the evening', '22:00', '06:00', 23, 0, 7],
  ['over midnight, in the morning', '22:00', '06:00', 5, 0, 1],
])('%s', (_what, from, to, hour, opens, closes) => {
  expect(untilWindow({ from, to }, 40 * DAY + hour * HOUR)).toEqual({
    opensInMs: opens * HOUR,
    closesInMs: closes * HOUR,
  });
});
