// Exponential back-off with full jitter, so that 1,000 peers of a restarted node do not reconnect in step.

export interface BackoffLimits {
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}

/** A random wait below base·2^failures, at most the cap. `failures` counts from 0. */
export function backoffMs(failures: number, limits: BackoffLimits, random: () => number = Math.random): number {
  const ceiling = Math.min(limits.backoffCapMs, limits.backoffBaseMs * 2 ** Math.min(failures, 30));
  return Math.round(random() * ceiling);
}
