// A task's stream as server-sent events: log lines, messages and states. The event id is the position in the stream, so
// that a client which reconnects with Last-Event-ID misses nothing and sees nothing twice. The last event is `end`.
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { IsthmusError } from '../../../contract/errors.ts';
import { pauseUntil } from '../../../lib/async/waiting.ts';
import { isLive } from '../../access/api-keys.ts';
import type { StreamEntry } from '../../store/tasks/task-stream.ts';
import type { ApiContext } from '../context.ts';
import { principalOf } from '../route-access.ts';

/** Concurrent streams; each costs a socket and a few reads a second. */
const MAX_STREAMS = 500;

const ENTRIES_PER_READ = 500;

/** The least time between two reads of one stream, however often it grows: limits the cost of clients. */
const READ_EVERY_MS = 20;

/** How often the stream is read, and the key checked, without a hint of a commit. */
const POLL_EVERY_MS = 1000;

/** Keeps proxies from closing an idle stream. */
const HEARTBEAT_EVERY_MS = 15_000;

/** A client that reads nothing for this long is gone. */
const DRAIN_WITHIN_MS = 30_000;

/** Of one key. */
const MAX_STREAMS_PER_KEY = 250;

/** The open streams, by the key of each. */
const openStreams = new Set<{ readonly keyId: string }>();

/** Answers with a task's stream after Last-Event-ID; resolves when it has ended. */
export async function streamTask(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  task: string,
): Promise<void> {
  const after = lastEventId(request);
  await context.store.tasks.get(task);
  const { keyId } = principalOf(request);
  if (openStreams.size >= MAX_STREAMS) throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many event streams are open');
  if ([...openStreams].filter((each) => each.keyId === keyId).length >= MAX_STREAMS_PER_KEY) {
    throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many event streams are open with this key');
  }
  const stream = { keyId };
  openStreams.add(stream);
  reply.hijack();
  const response = reply.raw;
  response.on('error', () => undefined);
  response.writeHead(200, {
    ...headersOf(reply),
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write('retry: 1000\n\n');
  try {
    await follow(context, keyId, { response, task, after });
  } catch (thrown) {
    // A client that disconnects during a write is normal.
    if (!response.destroyed) context.log.warn({ err: thrown, task }, 'an event stream failed');
  } finally {
    openStreams.delete(stream);
    response.end();
  }
}

interface Following {
  readonly response: ServerResponse;
  readonly task: string;
  readonly after: number;
}

async function follow(context: ApiContext, keyId: string, { response, task, after }: Following): Promise<void> {
  const { store, stopping } = context;
  const wakeup = new Wakeup();
  const leaving = new AbortController();
  const leave = () => {
    leaving.abort();
    wakeup.stop();
  };
  const unsubscribe = store.onCommit((grownStreams) => {
    if (grownStreams.has(task)) wakeup.hint();
  });
  response.once('close', leave);
  stopping.addEventListener('abort', leave);
  try {
    if (!stopping.aborted) await send(context, keyId, { response, task, after }, { wakeup, leaving: leaving.signal });
  } finally {
    unsubscribe();
    stopping.removeEventListener('abort', leave);
  }
}

/** Sends present and new entries until the task has ended, the client disconnects, or its key is no longer valid. */
async function send(
  { store }: ApiContext,
  keyId: string,
  { response, task, after }: Following,
  { wakeup, leaving }: { readonly wakeup: Wakeup; readonly leaving: AbortSignal },
): Promise<void> {
  let sentMs = performance.now();
  for (let at = after; !leaving.aborted;) {
    // Read the state first: the entries read after it then include the last one.
    const { endedAt, streamSeq, state } = await store.tasks.get(task);
    const entries = streamSeq > at ? await store.taskEvents.stream(task, at, ENTRIES_PER_READ) : [];
    for (const entry of entries) {
      await write(response, eventOf(entry), leaving);
      at = entry.seq;
      sentMs = performance.now();
    }
    if (entries.length > 0) continue;
    if (endedAt !== null) {
      await write(response, `id: ${at}\nevent: end\ndata: ${JSON.stringify({ state })}\n\n`, leaving);
      return;
    }
    if (performance.now() - sentMs >= HEARTBEAT_EVERY_MS) {
      await write(response, ': heartbeat\n\n', leaving);
      sentMs = performance.now();
    }
    await wakeup.wait();
    const key = await store.apiKeys.find(keyId);
    if (key === undefined || !isLive(key, Date.now())) return;
  }
}

function eventOf(entry: StreamEntry): string {
  const { kind, seq, ...data } = entry;
  // JSON has no raw line breaks, so a log line cannot start an event of its own.
  return `id: ${seq}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
}

async function write(response: ServerResponse, text: string, leaving: AbortSignal): Promise<void> {
  leaving.throwIfAborted();
  if (response.write(text)) return;
  await once(response, 'drain', { signal: AbortSignal.any([AbortSignal.timeout(DRAIN_WITHIN_MS), leaving]) });
}

function lastEventId(request: FastifyRequest): number {
  const sent = request.headers['last-event-id'];
  if (sent === undefined) return 0;
  if (typeof sent === 'string' && /^\d{1,15}$/.test(sent)) return Number(sent);
  throw new IsthmusError('INVALID_FIELD', 'Last-Event-ID is not an id of this stream', { field: 'Last-Event-ID' });
}

/** The headers that hooks have set on the reply, for an answer that bypasses Fastify. */
function headersOf(reply: FastifyReply): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.getHeaders()))
    if (value !== undefined) headers[name] = String(value);
  return headers;
}

/** Waits for the next hint or the next poll, and never less than READ_EVERY_MS. */
class Wakeup {
  #wake: (() => void) | undefined;
  #hinted = false;
  #stopped = false;

  hint(): void {
    this.#hinted = true;
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  async wait(): Promise<void> {
    await this.#sleep(READ_EVERY_MS, () => this.#stopped);
    await this.#sleep(POLL_EVERY_MS, () => this.#stopped || this.#hinted);
    this.#hinted = false;
  }

  async #sleep(ms: number, isOver: () => boolean): Promise<void> {
    if (isOver()) return;
    const subscribe = (wake: () => void): (() => void) => {
      this.#wake = () => {
        if (isOver()) wake();
      };
      return () => (this.#wake = undefined);
    };
    await pauseUntil(subscribe, { ms });
  }
}
