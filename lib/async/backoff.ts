// Exponential back-off with jitter, so that a thousand peers of a restarted node do not reconnect in step.

export interface Backoff {
  /** The longest first wait. */
  readonly baseMs: number;
  /** No wait is longer. */
  readonly capMs: number;
  /** The ceiling grows by this factor with each failure. Default: 2. */
  readonly factor?: number;
  /**
   * Which part of the wait is random: the whole, which spreads best, or its upper half, which avoids waits near zero.
   * Default: full.
   */
  readonly jitter?: 'full' | 'half';
}

/** By then every base has reached its cap; keeps the power finite. */
const MAX_EXPONENT = 30;

/** A random wait of at most `baseMs · factor^failures` and at most the cap, in whole ms. `failures` counts from 0. */
export function backoffMs(failures: number, backoff: Backoff, random: () => number = Math.random): number {
  const { baseMs, capMs, factor = 2, jitter = 'full' } = backoff;
  const ceilingMs = Math.min(capMs, baseMs * factor ** Math.min(failures, MAX_EXPONENT));
  const share = jitter === 'full' ? random() : (1 + random()) / 2;
  return Math.round(share * ceilingMs);
}
