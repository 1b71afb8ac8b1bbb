// Following a task live: resumes after a cut, shows each line once, and gives up when the server does not answer.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { ApiClient } from '../../cli/client/client.ts';
import { followTask } from '../../cli/client/follow.ts';
import { serverEvents, type ServerEvent } from '../../cli/client/sse.ts';
import { startFakeApi, type FakeApi } from '../support/fake-api.ts';

function clientOf(api: FakeApi): ApiClient {
  return new ApiClient({ server: new URL(api.url), authorityPem: api.mesh.authorityPem, apiKey: api.apiKey });
}

it('resumes after a cut from the last event it saw', async () => {
  const api = await startFakeApi();
  const client = clientOf(api);
  const resumedFrom: (string | undefined)[] = [];
  api.on('GET /api/v1/tasks/t1/events', (request, response) => {
    const last = request.headers['last-event-id'] as string | undefined;
    resumedFrom.push(last);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const from = Number(last ?? 0);
    response.write(`id: ${from + 1}\nevent: log\ndata: {"line":${from + 1}}\n\n`);
    if (from >= 2) {
      response.end('id: 4\nevent: end\ndata: {"state":"succeeded"}\n\n');
      return;
    }
    // Half an event before the connection is cut: it must not count.
    response.write(`id: 9\nevent: log\ndata: {"line":9}`, () => response.destroy());
  });
  const seen: ServerEvent[] = [];
  await followTask(client, 't1', { signal: new AbortController().signal, onEvent: (event) => void seen.push(event) });
  client.close();
  expect(seen.map(({ id }) => id)).toEqual(['1', '2', '3', '4']);
  expect(resumedFrom).toEqual([undefined, '1', '2']);
});

it('gives up when the server does not answer for longer than its retry time', async () => {
  const api = await startFakeApi();
  const client = clientOf(api);
  let tries = 0;
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    tries += 1;
    response.destroy();
  });
  const following = followTask(client, 't1', {
    signal: new AbortController().signal,
    retryForMs: 300,
    onEvent: () => undefined,
  });
  await expect(following).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
  client.close();
  expect(tries).toBeGreaterThan(1);
});

it('does not retry for a task that does not exist', async () => {
  const api = await startFakeApi();
  const client = clientOf(api);
  const following = followTask(client, 'gone', { signal: new AbortController().signal, onEvent: () => undefined });
  await expect(following).rejects.toMatchObject({ code: 'NOT_FOUND' });
  client.close();
  expect(api.requests).toHaveLength(1);
});

it('reads events in chunks of any size', async () => {
  const stream =
    ': hello\r\nid: 1\r\nevent: log\r\ndata: a\r\ndata: b\r\n\r\ndata: ü\n\nevent: none\n\nid: 3\ndata: cut';
  const bytes = new TextEncoder().encode(stream);
  for (const size of [1, 2, 3, 7, bytes.length]) {
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    };
    const events: ServerEvent[] = [];
    for await (const event of serverEvents(pieces())) events.push(event);
    expect(events).toEqual([
      { id: '1', event: 'log', data: 'a\nb' },
      { id: undefined, event: 'message', data: 'ü' },
    ]);
  }
});

it('closes an idle connection before the server does: a request on a closing one would be lost', async () => {
  const server = createServer({ keepAliveTimeout: 2_000 }, (_request, response) => response.end('{}'));
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const ended = once(server, 'connection').then(([socket]) =>
    Promise.race([
      once(socket as Socket, 'end').then(() => 'by the client'),
      once(socket as Socket, 'timeout').then(() => 'by the server'),
    ]),
  );
  const client = new ApiClient({ server: new URL(`http://127.0.0.1:${port}`), authorityPem: undefined, apiKey: 'k' });
  onTestFinished(() => client.close());
  await client.get('sites');
  expect(await ended).toBe('by the client');
});
