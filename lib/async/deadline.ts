// Time limits: on work that obeys a signal or is stopped, on a promise, on an open stream, and on silence.
import type { Readable } from 'node:stream';

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
  const stop = (): void => deadline.abort(late());
  return stopAfter(ms, stop, () => run(AbortSignal.any([deadline.signal, ...signals])));
}

/** Runs work and calls `stop`, which must end it, once the time is up. The work is always awaited. */
export async function stopAfter<Result>(ms: number, stop: () => void, run: () => Promise<Result>): Promise<Result> {
  const timer = setTimeout(stop, ms);
  try {
    return await run();
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
  return stopAfter(
    ms,
    () => reject(late()),
    () => Promise.race([promise, over]),
  );
}

/** Calls `onLate`, which by default destroys the stream, unless the stream closes within `ms`. */
export function closeWithin(stream: Readable, ms: number, onLate: () => void = () => stream.destroy()): void {
  if (stream.closed) return;
  const timer = setTimeout(onLate, ms);
  timer.unref();
  stream.once('close', () => clearTimeout(timer));
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
