// Time limits: on work that obeys a signal, on a promise, and on silence.

export interface DeadlineOptions {
  readonly ms: number;
  /** Creates the error for a deadline that has passed. */
  readonly late: () => Error;
  /** Signals that end the work earlier. */
  readonly signals?: readonly AbortSignal[];
}

/**
 * Runs work with a time limit and returns its result. Its signal aborts when the time is up, with the error of `late`, or
 * with the first of `signals`. `run` must obey the signal: it is always awaited.
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

/** The result of `promise`; throws the error of `late` once the time is up, while the work continues. */
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

/** Calls `onSilence` when it has not been fed for `silenceMs`. */
export class Watchdog {
  readonly #silenceMs: number;
  readonly #onSilence: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** Inactive until it is fed for the first time. */
  constructor(silenceMs: number, onSilence: () => void) {
    this.#silenceMs = silenceMs;
    this.#onSilence = onSilence;
  }

  /** Restarts the timer; `silenceMs` applies to this time only. */
  feed(silenceMs = this.#silenceMs): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onSilence, silenceMs);
  }

  /** Stops the timer until it is fed again. Idempotent. */
  rest(): void {
    clearTimeout(this.#timer);
  }
}
