// Waiting that an abort signal ends early.
import { IsthmusError } from '../../contract/errors.ts';

/** Resolves after `ms`, or as soon as one of the signals aborts. */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return pauseUntil(() => () => undefined, { ms, signals });
}

export interface PauseLimits {
  /** No limit when left out. */
  readonly ms?: number;
  readonly signals?: readonly AbortSignal[];
}

/**
 * Resolves when `wake` is called, after `ms`, or as soon as one of the signals aborts. `subscribe` takes `wake` and
 * returns a function that unsubscribes.
 */
export async function pauseUntil(
  subscribe: (wake: () => void) => () => void,
  { ms, signals = [] }: PauseLimits,
): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
  const stops = [subscribe(resolve), ...signals.map((signal) => whenAborted(signal, resolve))];
  await promise;
  clearTimeout(timer);
  for (const stop of stops) stop();
}

/** The result of `promise`; CANCELLED as soon as one of the signals aborts, while the work continues. */
export async function unlessAborted<Value>(promise: Promise<Value>, signals: readonly AbortSignal[]): Promise<Value> {
  const { promise: given, resolve, reject } = Promise.withResolvers<Value>();
  const leave = (): void => reject(new IsthmusError('CANCELLED', 'the caller no longer waits'));
  promise.then(resolve, reject);
  if (signals.some(({ aborted }) => aborted)) leave();
  for (const signal of signals) signal.addEventListener('abort', leave, { once: true });
  try {
    return await given;
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', leave);
  }
}

/** Calls `action` once the signal has aborted; returns a function that unsubscribes. */
export function whenAborted(signal: AbortSignal, action: () => void): () => void {
  if (signal.aborted) {
    action();
    return () => undefined;
  }
  signal.addEventListener('abort', action, { once: true });
  return () => signal.removeEventListener('abort', action);
}
