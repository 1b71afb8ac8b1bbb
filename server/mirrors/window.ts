// The time of day in which a project's releases are warmed, in UTC.
import { DAY_MS } from '../../lib/time.ts';

/** As `HH:MM`; it may go over midnight. */
export interface WarmWindow {
  readonly from: string;
  readonly to: string;
}

const MINUTE_MS = 60_000;

/** How long until it opens, 0 while it is open, and until it closes from then on. */
export function untilWindow(
  { from, to }: WarmWindow,
  nowMs: number,
): { readonly opensInMs: number; readonly closesInMs: number } {
  const timeOfDay = nowMs % DAY_MS;
  const opensInMs = (msOf(from) - timeOfDay + DAY_MS) % DAY_MS;
  const closesInMs = (msOf(to) - timeOfDay + DAY_MS) % DAY_MS || DAY_MS;
  const isOpen = opensInMs === 0 || closesInMs < opensInMs;
  return isOpen ? { opensInMs: 0, closesInMs } : { opensInMs, closesInMs };
}

function msOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return (hours * 60 + minutes) * MINUTE_MS;
}
