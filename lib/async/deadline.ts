// Limits of time on work: with a signal that the work obeys, on a promise that may be left alone, and on silence.

export interface DeadlineOptions {
  readonly ms: number;
  /** The error of a deadline that has passed. */
  readonly late: () => Error;
  /** What ends the work earlier. */
  readonly signals?: readonly AbortSignal[];
}

/**
 * What `run` gives. Its signal aborts when the time is over, with the error of `late`, or with the first of the other
 * signals, with that one's reason. `run` is waited for: it obeys the signal, and lets go of what it holds.
 */
export async function withDeadline<Result>(
  { ms, late, signals = [] }: DeadlineOptions,
  run: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(late()), ms);
  try {
    return await run(AbortSignal.any([deadline.signal, ...signals]));
  } finally {
    clearTimeout(timer);
  }
}

/** What `promise` gives; the error of `late` once the time is over. The work behind it goes on unwatched. */
export async function within<Result>(
  promise: Promise<Result>,
  { ms, late }: Pick<DeadlineOptions, 'ms' | 'late'>,
): Promise<Result> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms);
  try {
    return await Promise.race([promise, over]);
  } finally {
    clearTimeout(timer);
  }
}

/** Calls `onSilence` when it has not been fed for so long. */
export class Watchdog {
  readonly #silenceMs: number;
  readonly #onSilence: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** Rests until it is fed for the first time. */
  constructor(silenceMs: number, onSilence: () => void) {
    this.#silenceMs = silenceMs;
    this.#onSilence = onSilence;
  }

  /** Counts anew; this once with another time where one is given. */
  feed(silenceMs = this.#silenceMs): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onSilence, silenceMs);
  }

  /** Waits for nothing until it is fed again. Idempotent. */
  rest(): void {
    clearTimeout(this.#timer);
  }
}
