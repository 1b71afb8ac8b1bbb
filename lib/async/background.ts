// Work that nobody waits for: reports, timers, watchers, listeners. Its failure is logged and never ends the process.
import type { EventEmitter } from 'node:events';
import type { Logger } from '../telemetry/log.ts';

/** Every background task, as the log names it. */
export const BACKGROUND_TASKS = [
  'admin.listener',
  'admin.request',
  'api.certificate',
  'api.listener',
  'certificate.renewal',
  'completion.report',
  'completion.sweep',
  'feed.examine',
  'feed.request',
  'health.check',
  'health.round',
  'lease.renewal',
  'link.credential',
  'link.stop',
  'links.listener',
  'mesh.listener',
  'mirror.listener',
  'mirror.lift',
  'mirror.pull',
  'mirror.scrub',
  'mirror.state',
  'mirrors.protection',
  'node.reparent',
  'node.report',
  'outages.record',
  'output.orphans',
  'packages.retention',
  'reports.write',
  'revocations.listener',
  'revocations.adopt',
  'session.credential',
  'source.probe',
  'status.write',
  'task.claim',
  'task.run',
  'tickets.sweep',
  'topology.reconcile',
  'undeletable.sweep',
] as const;

export type BackgroundTask = (typeof BACKGROUND_TASKS)[number];

/** A task that fails each second must not fill the log. */
const LOG_EVERY_MS = 60_000;

interface Failures {
  /** Since the last line. */
  count: number;
  loggedAtMs: number;
}

const failuresOf = new WeakMap<Logger, Map<BackgroundTask, Failures>>();

/** Starts work at once and does not wait for it. When it fails, that is logged, once a minute for each task. */
export function background(task: BackgroundTask, log: Logger, work: () => unknown): void {
  Promise.try(work).catch((err: unknown) => logFailure(task, log, err));
}

/** As `background`; resolves when the work has ended, and never rejects. */
export async function attempted(task: BackgroundTask, log: Logger, work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (err) {
    logFailure(task, log, err);
  }
}

/** As `background`, at an interval. The returned function ends it; a run under way goes on. */
export function every(ms: number, task: BackgroundTask, log: Logger, work: () => unknown): () => void {
  const timer = setInterval(() => background(task, log, work), ms);
  return () => clearInterval(timer);
}

/** Logs the errors of a listening server, such as those of `accept` when descriptors run out: it goes on listening. */
export function logErrorsOf(server: EventEmitter, task: BackgroundTask, log: Logger): void {
  server.on('error', (err: unknown) => logFailure(task, log, err));
}

function logFailure(task: BackgroundTask, log: Logger, err: unknown): void {
  const own = failuresOf.get(log) ?? new Map<BackgroundTask, Failures>();
  failuresOf.set(log, own);
  const { count, loggedAtMs } = own.get(task) ?? { count: 0, loggedAtMs: -Infinity };
  const nowMs = performance.now();
  if (nowMs - loggedAtMs < LOG_EVERY_MS) {
    own.set(task, { count: count + 1, loggedAtMs });
    return;
  }
  own.set(task, { count: 0, loggedAtMs: nowMs });
  log.error({ err, task, failures: count + 1 }, 'a background task failed; it goes on');
}
