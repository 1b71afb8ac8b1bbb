// Work that several callers wait for at once: the first begins it, and when the last has gone it is aborted.
import { IsthmusError } from '../../contract/errors.ts';

export interface Caller<Progress> {
  readonly onProgress: (progress: Progress) => void;
  readonly signal: AbortSignal;
}

type Work<Progress, Result> = (tell: (progress: Progress) => void, signal: AbortSignal) => Promise<Result>;

interface Running<Progress, Result> {
  readonly outcome: Promise<Result>;
  readonly listeners: Set<(progress: Progress) => void>;
  readonly stop: AbortController;
  /** What was told last. */
  latest: Progress | undefined;
}

export class SharedWork<Progress, Result> {
  readonly #running = new Map<string, Running<Progress, Result>>();

  has(key: string): boolean {
    return this.#running.has(key);
  }

  /**
   * The result of the work under `key`, which begins unless it runs; who comes late is told the latest at once. CANCELLED
   * once the caller's signal aborts.
   */
  async join(key: string, caller: Caller<Progress>, work: Work<Progress, Result>): Promise<Result> {
    const before = this.#running.get(key);
    if (before?.stop.signal.aborted === true) {
      // That work was abandoned and is ending: it begins again once it has.
      await before.outcome.catch(() => undefined);
      return this.join(key, caller, work);
    }
    const { onProgress, signal } = caller;
    const running = before ?? this.#begin(key, work);
    running.listeners.add(onProgress);
    if (running.latest !== undefined) onProgress(running.latest);
    try {
      return await Promise.race([running.outcome, whenAborted(signal)]);
    } finally {
      running.listeners.delete(onProgress);
      if (running.listeners.size === 0) {
        running.stop.abort(new IsthmusError('CANCELLED', 'no caller waits for it'));
        await running.outcome.catch(() => undefined);
      }
    }
  }

  /** Aborts the work under `key`, if there is any, and waits for its end. */
  async end(key: string, reason: IsthmusError): Promise<void> {
    const running = this.#running.get(key);
    running?.stop.abort(reason);
    await running?.outcome.catch(() => undefined);
  }

  /** Aborts all work, and waits for its end. */
  async endAll(reason: IsthmusError): Promise<void> {
    await Promise.all([...this.#running.keys()].map((key) => this.end(key, reason)));
  }

  #begin(key: string, work: Work<Progress, Result>): Running<Progress, Result> {
    const stop = new AbortController();
    const tell = (progress: Progress): void => {
      running.latest = progress;
      for (const listener of running.listeners) listener(progress);
    };
    // Not before `running` is there to be told.
    const outcome = Promise.resolve().then(() => work(tell, stop.signal));
    const running: Running<Progress, Result> = {
      outcome: outcome.finally(() => this.#running.delete(key)),
      listeners: new Set(),
      stop,
      latest: undefined,
    };
    running.outcome.catch(() => undefined);
    this.#running.set(key, running);
    return running;
  }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(new IsthmusError('CANCELLED', 'the caller gave up'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
