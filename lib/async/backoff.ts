// How long to wait before the next attempt: exponential with jitter, so that a thousand peers of a restarted node do not
// come back in step.

export interface Backoff {
  /** The ceiling of the first wait. */
  readonly baseMs: number;
  /** No wait is longer. */
  readonly capMs: number;
  /** By what the ceiling grows with each failure. Default: 2. */
  readonly factor?: number;
  /**
   * What is random: the whole wait, which spreads best, or its upper half, where a wait near zero would only cost.
   * Default: full.
   */
  readonly jitter?: 'full' | 'half';
}

/** Beyond this, every base has long met its cap, and the power stays finite. */
const MAX_EXPONENT = 30;

/** A random wait of at most `baseMs · factor^failures` and at most the cap, in whole ms. `failures` counts from 0. */
export function backoffMs(failures: number, backoff: Backoff, random: () => number = Math.random): number {
  const { baseMs, capMs, factor = 2, jitter = 'full' } = backoff;
  const ceilingMs = Math.min(capMs, baseMs * factor ** Math.min(failures, MAX_EXPONENT));
  const share = jitter === 'full' ? random() : (1 + random()) / 2;
  return Math.round(share * ceilingMs);
}
