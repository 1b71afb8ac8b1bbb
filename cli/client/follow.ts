// Following a task live. A connection that is cut is opened again from the last event seen (Last-Event-ID), so that a
// server that restarts, or a laptop that sleeps, loses no line and shows none twice.
import { backoffMs } from '../../lib/async/backoff.ts';
import { Watchdog } from '../../lib/async/deadline.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { path, ServerError, type ApiClient } from './client.ts';
import { serverEvents, type ServerEvent } from './sse.ts';

interface FollowOptions {
  readonly signal: AbortSignal;
  /** How long to go on trying when the server does not answer. */
  readonly retryForMs?: number;
  readonly onEvent: (event: ServerEvent) => void;
  readonly onReconnect?: (error: Error) => void;
}

const backoff = { baseMs: 200, capMs: 5_000 };
// The server says something at least every 15 s; a connection that is silent for longer is half-open.
const SILENCE_LIMIT_MS = 45_000;

type Ending = 'ended' | 'cut';

async function readStream(
  client: ApiClient,
  task: string,
  last: { id: string | undefined },
  options: FollowOptions,
): Promise<Ending> {
  const quiet = new AbortController();
  const watchdog = new Watchdog(SILENCE_LIMIT_MS, () => quiet.abort());
  const signal = AbortSignal.any([options.signal, quiet.signal]);
  const headers: Record<string, string> = { accept: 'text/event-stream' };
  if (last.id !== undefined) headers['last-event-id'] = last.id;
  try {
    watchdog.feed();
    const response = await client.open('GET', path('tasks', task, 'events'), { headers, signal });
    response.on('data', () => watchdog.feed());
    for await (const event of serverEvents(response)) {
      if (event.event === 'end') {
        options.onEvent(event);
        return 'ended';
      }
      options.onEvent(event);
      if (event.id !== undefined) last.id = event.id;
    }
    return 'cut';
  } finally {
    watchdog.rest();
  }
}

/** Whether asking again may help: the server said nothing, or said that it is not ready. */
function isTransient(error: unknown): boolean {
  if (error instanceof ServerError) return error.status >= 502 || error.status === 429;
  if (error instanceof IsthmusError) return error.code === 'SERVER_UNREACHABLE' || error.code === 'CANCELLED';
  return true;
}

function interrupted(task: string, cause?: unknown): IsthmusError {
  const next = `see it with \`isthmus task follow ${task}\`, end it with \`isthmus task cancel ${task}\``;
  return new IsthmusError('CANCELLED', `interrupted; the task goes on: ${next}`, { cause });
}

/** Calls `onEvent` for every event of the task until its end; throws when the server stays away too long. */
export async function followTask(client: ApiClient, task: string, options: FollowOptions): Promise<void> {
  const last: { id: string | undefined } = { id: undefined };
  const retryForMs = options.retryForMs ?? 120_000;
  let failures = 0;
  let aloneSince: number | undefined;
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
    aloneSince = progressed ? undefined : (aloneSince ?? Date.now());
    failures = progressed ? 0 : failures + 1;
    if (aloneSince !== undefined && Date.now() - aloneSince > retryForMs) throw failure;
    options.onReconnect?.(failure);
    await pause(backoffMs(failures, backoff), options.signal);
    if (options.signal.aborted) throw interrupted(task);
  }
}
