// Follows a task live. A cut connection is opened again from the last event seen (Last-Event-ID), so that no line is
// lost or shown twice when the server restarts or the laptop sleeps.
import { backoffMs } from '../../lib/async/backoff.ts';
import { Watchdog } from '../../lib/async/deadline.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { path, type ApiClient } from './client.ts';
import { ServerError } from './server-error.ts';
import { serverEvents, type ServerEvent } from './sse.ts';

interface FollowOptions {
  readonly signal: AbortSignal;
  /** How long to keep trying while the server does not answer. */
  readonly retryForMs?: number;
  /** The next event waits for its end. */
  readonly onEvent: (event: ServerEvent) => void | Promise<void>;
  readonly onReconnect?: (error: Error) => void;
}

const BACKOFF = { baseMs: 200, capMs: 5_000 };
// The server sends something at least every 15 s; a connection that is silent for longer is half-open.
const SILENCE_LIMIT_MS = 45_000;

type Ending = 'ended' | 'cut';

async function readStream(
  client: ApiClient,
  task: string,
  last: { id: string | undefined },
  options: FollowOptions,
): Promise<Ending> {
  const silence = new AbortController();
  const watchdog = new Watchdog(SILENCE_LIMIT_MS, () => silence.abort());
  const signal = AbortSignal.any([options.signal, silence.signal]);
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (last.id !== undefined) headers['last-event-id'] = last.id;
  try {
    watchdog.feed();
    const response = await client.open('GET', path('tasks', task, 'events'), { headers, signal });
    response.on('data', () => watchdog.feed());
    for await (const event of serverEvents(response)) {
      if (event.event === 'end') {
        await options.onEvent(event);
        return 'ended';
      }
      await options.onEvent(event);
      if (event.id !== undefined) last.id = event.id;
    }
    return 'cut';
  } finally {
    watchdog.rest();
  }
}

/** Whether a retry may help: the server did not answer, or said that it is not ready. */
function isTransient(error: unknown): boolean {
  if (error instanceof ServerError) return error.status >= 502 || error.status === 429;
  if (error instanceof IsthmusError) return error.code === 'SERVER_UNREACHABLE' || error.code === 'CANCELLED';
  return true;
}

function interrupted(task: string, cause?: unknown): IsthmusError {
  const next = `see it with \`isthmus task follow ${task}\`, end it with \`isthmus task cancel ${task}\``;
  return new IsthmusError('CANCELLED', `interrupted; the task continues: ${next}`, { cause });
}

/** Calls `onEvent` for every event of the task until its end; throws when the server does not answer for too long. */
export async function followTask(client: ApiClient, task: string, options: FollowOptions): Promise<void> {
  const last: { id: string | undefined } = { id: undefined };
  const retryForMs = options.retryForMs ?? 120_000;
  let failures = 0;
  let silentSinceMs: number | undefined;
  for (;;) {
    const seen = last.id;
    let failure = new Error('the stream was cut');
    try {
      if ((await readStream(client, task, last, options)) === 'ended') return;
    } catch (error) {
      if (options.signal.aborted) throw interrupted(task, error);
      if (!isTransient(error)) throw error;
      failure = error as Error;
    }
    const progressed = last.id !== seen;
    silentSinceMs = progressed ? undefined : (silentSinceMs ?? performance.now());
    failures = progressed ? 0 : failures + 1;
    if (silentSinceMs !== undefined && performance.now() - silentSinceMs > retryForMs) throw failure;
    options.onReconnect?.(failure);
    await pause(backoffMs(failures, BACKOFF), options.signal);
    if (options.signal.aborted) throw interrupted(task);
  }
}
