// Retention: deletes old answers under idempotency keys, denials, passing events, and the data of tasks that ended long
// ago. It works in small steps with pauses, so that nothing else waits for it.
import type { Logger } from '../../lib/telemetry/log.ts';
import { CautiousClock } from '../../lib/async/cautious-clock.ts';
import { pause } from '../../lib/async/waiting.ts';
import { DAY_MS } from '../../lib/time.ts';
import type { RetentionCursor } from '../store/retention.ts';
import type { Store } from '../store/store.ts';

/** Answers under an Idempotency-Key are kept for a day: longer than clients retry. */
const IDEMPOTENCY_KEPT_MS = DAY_MS;
const EVERY_MS = 3_600_000;
const DEFAULT_RETENTION_DAYS = 30;
const ROWS_PER_STEP = 1_000;
const PAUSE_MS = 20;
/** Steps of one run; the next run continues. */
const STEPS_PER_RUN = 20_000;

interface RetentionOptions {
  readonly store: Store;
  readonly log: Logger;
  readonly retentionDays?: number | undefined;
}

/** Runs now and then every hour. The returned function stops it and waits for the step under way. */
export function startRetention({ store, log, retentionDays }: RetentionOptions): () => Promise<void> {
  const stopping = new AbortController();
  const clock = new CautiousClock();
  const keptMs = (retentionDays ?? DEFAULT_RETENTION_DAYS) * DAY_MS;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await store.idempotency.purgeBefore(clock.now() - IDEMPOTENCY_KEPT_MS);
        await purgePassingEvents(store, clock.now() - keptMs, stopping.signal);
        await purgeDenials(store, clock.now() - keptMs, stopping.signal);
        await purgeTasks(store, clock.now() - keptMs, { signal: stopping.signal });
      } catch (err) {
        log.warn({ err }, 'could not delete old data; retrying in an hour');
      }
      await pause(EVERY_MS, stopping.signal);
    }
  }

  const running = run();
  return async () => {
    stopping.abort();
    await running;
  };
}

/** Deletes health changes from before `before`; events of what people changed are kept for ever. */
export async function purgePassingEvents(store: Store, before: number, signal: AbortSignal): Promise<void> {
  for (let after: number | undefined = 0; after !== undefined && !signal.aborted;) {
    after = await store.retention.purgeTransientEvents(before, after, ROWS_PER_STEP);
    await pause(PAUSE_MS, signal);
  }
}

/** Deletes denials from before `before`. */
export async function purgeDenials(store: Store, before: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await store.retention.purgeDenials(before, ROWS_PER_STEP))) await pause(PAUSE_MS, signal);
}

interface PurgeLimits {
  readonly signal: AbortSignal;
  readonly rowsPerStep?: number;
  readonly stepsPerRun?: number;
}

/** Deletes logs, task events, tickets and payloads of tasks that ended before `before`, except what is deployed now. */
export async function purgeTasks(
  store: Store,
  before: number,
  { signal, rowsPerStep = ROWS_PER_STEP, stepsPerRun = STEPS_PER_RUN }: PurgeLimits,
): Promise<void> {
  let steps = 0;
  const mayGoOn = async (): Promise<boolean> => {
    await pause(PAUSE_MS, signal);
    steps += 1;
    return !signal.aborted && steps <= stepsPerRun;
  };
  let cursor: RetentionCursor | undefined;
  do {
    const { tasks, next } = await store.retention.candidates(before, cursor);
    for (const task of tasks) {
      let done = false;
      while (!done) {
        if (!(await mayGoOn())) return;
        done = await store.transaction((tx) => tx.retention.purge(task, rowsPerStep));
      }
    }
    cursor = next;
  } while (cursor !== undefined && (await mayGoOn()));
}
