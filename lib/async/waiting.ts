// Waiting that an abort signal ends early.
import { IsthmusError } from '../../contract/errors.ts';

/** Resolves after `ms`, or as soon as one of the signals aborts. */
export function pause(ms: number, ...signals: readonly AbortSignal[]): Promise<void> {
  if (signals.some((signal) => signal.aborted)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    for (const signal of signals) signal.addEventListener('abort', done, { once: true });
  });
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
