// A task's live stream: every entry once and in order, from where the client left off, to the end.
import { Errors, type XSchema } from 'typebox/schema';
import { describe, expect, it, onTestFinished } from 'vitest';
import { TaskEvent } from '../../contract/task-stream.ts';
import { closed } from '../support/answer-check.ts';
import { addTicket, lines } from '../store/samples.ts';
import { waitFor } from '../support/wait.ts';
import { startApi, type TestApi } from './api.ts';

interface Event {
  readonly id: number;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads a task's events into an array until the stream ends. */
function follow(api: TestApi, task: string, lastEventId?: string) {
  const abort = new AbortController();
  onTestFinished(() => {
    abort.abort();
  });
  const events: Event[] = [];
  const done = (async () => {
    const answer = await fetch(`${api.base}/api/v1/tasks/${task}/events`, {
      headers: {
        authorization: `Bearer ${api.keys.viewer}`,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
      },
      signal: abort.signal,
    });
    expect(answer.headers.get('content-type')).toMatch(/^text\/event-stream/);
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    let buffered = '';
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      buffered += chunk;
      const blocks = buffered.split('\n\n');
      buffered = blocks.pop() ?? '';
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split('\n').map((line) => line.split(/: (.*)/s))) as Partial<
          Record<string, string>
        >;
        if (fields.event !== undefined) {
          const data = JSON.parse(fields.data!) as Event['data'];
          expect(Errors(closed(TaskEvent) as XSchema, { ...fields, data })[1]).toEqual([]);
          events.push({ id: Number(fields.id), event: fields.event, data });
        }
      }
    }
  })();
  return { events, done, leave: () => abort.abort() };
}

describe('the events of a task', () => {
  it('arrive as they are committed, and end with the task', async () => {
    const api = await startApi();
    const { fence, ticket } = await addTicket(api.store);
    const reader = follow(api, fence.task);
    await waitFor(() => reader.events.length === 1, { what: 'the first state' });
    for (let line = 1; line <= 9; line += 3) {
      await api.store.transaction((tx) => tx.logLines.append(fence, ticket, line, lines(line, line + 2)));
    }
    await waitFor(() => reader.events.length === 10, { what: 'nine lines' });
    await api.store.transaction((tx) => tx.tasks.end(fence, { state: 'succeeded', now: 5000 }));
    await reader.done;
    expect(reader.events.map((event) => event.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11]);
    expect(reader.events.at(-1)).toMatchObject({ event: 'end', data: { state: 'succeeded' } });
    expect(reader.events[1]).toMatchObject({ event: 'log', data: { ticket, line: 1, text: 'line 1', machine: 'm-1' } });
  });

  it('go on after Last-Event-ID, wherever the client left off', async () => {
    const api = await startApi();
    const { fence, ticket } = await addTicket(api.store);
    await api.store.transaction((tx) => tx.logLines.append(fence, ticket, 1, lines(1, 1200)));
    await api.store.transaction((tx) => tx.tasks.end(fence, { state: 'failed', now: 5000 }));
    const whole = follow(api, fence.task);
    await whole.done;
    expect(whole.events).toHaveLength(1203);
    for (const after of [0, 1, 600, 1201, 1202]) {
      const rest = follow(api, fence.task, String(after));
      await rest.done;
      expect(rest.events).toEqual(whole.events.slice(after));
    }
    const paged: unknown[] = [];
    for (let after = '0'; ;) {
      const { body } = await api.call('GET', `/api/v1/tasks/${fence.task}/log?after=${after}&limit=500`);
      paged.push(...(body.items as unknown[]));
      if (body.next === undefined) break;
      after = body.next as string;
    }
    expect(paged).toHaveLength(1202);
  });

  it('carry hostile text as data, not as events', async () => {
    const api = await startApi();
    const { fence, ticket } = await addTicket(api.store);
    const text = 'x\r\n\r\nevent: end\ndata: {}\n\n\u2028</script>\u001b]0;title\u0007\u0000';
    await api.store.transaction((tx) =>
      tx.logLines.append(fence, ticket, 1, [{ stream: 'stdout', at: 1, text, ending: 'open' }]),
    );
    await api.store.transaction((tx) => tx.tasks.end(fence, { state: 'succeeded', now: 5000 }));
    const reader = follow(api, fence.task);
    await reader.done;
    expect(reader.events.map((event) => event.event)).toEqual(['state', 'log', 'state', 'end']);
    expect(reader.events[1]!.data).toMatchObject({ text, ending: 'open' });
  });

  it('stop when the key is revoked, and when the server stops', async () => {
    const api = await startApi();
    const { fence } = await addTicket(api.store);
    const first = follow(api, fence.task);
    await waitFor(() => first.events.length === 1, { what: 'the first event' });
    const viewer = api.keys.viewer.split('_')[1]!;
    await api.call('DELETE', `/api/v1/api-keys/${viewer}`);
    await first.done;
    expect(first.events.map((event) => event.event)).toEqual(['state']);
  });

  it('of nothing are NOT_FOUND; with a wrong Last-Event-ID they are rejected', async () => {
    const api = await startApi();
    expect(await api.call('GET', '/api/v1/tasks/nothing/events')).toMatchObject({ status: 404 });
    const { fence } = await addTicket(api.store);
    for (const id of ['-1', 'x', '1e3', '99999999999999999']) {
      const headers = { 'last-event-id': id };
      const answer = await api.call('GET', `/api/v1/tasks/${fence.task}/events`, { headers });
      expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field: 'Last-Event-ID' } });
    }
  });

  it('end at once when the server stops', async () => {
    const api = await startApi();
    const { fence } = await addTicket(api.store);
    const readers = Array.from({ length: 20 }, () => follow(api, fence.task));
    await waitFor(() => readers.every((reader) => reader.events.length === 1), { what: 'all readers' });
    api.stop.abort();
    await Promise.all(readers.map((reader) => reader.done));
  });
});
