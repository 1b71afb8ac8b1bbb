// Thousands of connections without a key, or with one key, at the API's port: whoever else has a key is served
// meanwhile.
import { once } from 'node:events';
import { get as getPlain, type IncomingMessage } from 'node:http';
import { get as getSecure } from 'node:https';
import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { linkServerOptions } from '../../certs/tls.ts';
import { startApi, type TestApi } from '../api/api.ts';
import { createTestMesh } from '../support/identities.ts';
import { waitFor } from '../support/wait.ts';
import type { StrangersOrder, StrangersState } from './strangers-worker.ts';

const count = 2_100;
/** What one network may have without a key. */
const most = 128;
const list = '/api/v1/sites';

const head = (method: string, length: number) =>
  [`${method} ${list} HTTP/1.1`, 'Host: api', `Content-Length: ${length}`, ''].join('\r\n');
const kinds: Readonly<Record<string, Pick<StrangersOrder, 'says' | 'trickles'>>> = {
  'that say nothing': { says: '', trickles: false },
  'that begin with their headers': { says: 'GET / HTTP/1.1\r\nHost: a', trickles: true },
  'that send a body byte by byte': { says: `${head('POST', 1_000)}\r\n{`, trickles: true },
  'that were denied and stay': { says: `${head('GET', 0)}\r\n`, trickles: false },
};

async function strangers(order: StrangersOrder): Promise<() => Promise<StrangersState>> {
  const worker = new Worker(new URL('./strangers-worker.ts', import.meta.url), { workerData: order });
  onTestFinished(async () => {
    await worker.terminate();
  });
  await once(worker, 'online');
  return async () => {
    worker.postMessage('');
    const [state] = (await once(worker, 'message')) as [StrangersState];
    return state;
  };
}

/** The status of a request on a connection of its own. */
async function ask({ base, keys }: TestApi, secure: boolean): Promise<number | undefined> {
  const headers = { authorization: `Bearer ${keys.viewer}` };
  const options = { port: new URL(base).port, path: list, agent: false, headers, rejectUnauthorized: false };
  const request = (secure ? getSecure : getPlain)({ ...options, host: '127.0.0.1', timeout: 5_000 });
  request.once('timeout', () => request.destroy(new Error('no answer within 5 s')));
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  answer.resume();
  await once(answer, 'end');
  return answer.statusCode;
}

async function startAt(secure: boolean): Promise<TestApi> {
  if (!secure) return startApi();
  const { key, cert } = linkServerOptions(await (await createTestMesh()).identity('server-1', 'server'));
  return startApi({}, { https: { key, cert } } as never);
}

const floods = [
  ...Object.keys(kinds).map((kind) => ({ kind, scheme: 'http' })),
  { kind: 'that say nothing', scheme: 'https' },
  { kind: 'that begin with their headers', scheme: 'https' },
];

it.each(floods)(
  'connections $kind over $scheme keep nobody out who has a key, and are one denial',
  async ({ kind, scheme }) => {
    const secure = scheme === 'https';
    const api = await startAt(secure);
    const port = Number(new URL(api.base).port);
    const state = await strangers({ ...kinds[kind]!, port, count, secure });
    const statuses: unknown[] = [];
    do statuses.push(await ask(api, secure));
    while ((await state()).connected < count);
    for (let i = 0; i < 3; i += 1) statuses.push(await ask(api, secure));
    expect(new Set(statuses)).toEqual(new Set([200]));
    await waitFor(async () => (await state()).open <= most, { what: 'the others to be closed' });
    const denials = await api.store.denials.list({ type: 'request.denied', limit: 100 });
    expect(denials.items.filter(({ subject }) => subject === 'API port')).toMatchObject([
      { actor: 'anonymous', data: { code: 'RATE_LIMITED', address: '127.0.0.1' } },
    ]);
  },
);

it('one key may have half of the connections, and keeps nobody out who has another one', async () => {
  const api = await startApi();
  const port = Number(new URL(api.base).port);
  const says = `GET ${list} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer ${api.keys.operator}\r\n\r\n`;
  /** The answers on so many new connections, which stay open: fewer at once than those of strangers may be. */
  const answers = (connections: number): Promise<string[]> =>
    Promise.all(
      Array.from({ length: connections }, async () => {
        const socket = connect(port, '127.0.0.1').on('error', () => undefined);
        onTestFinished(() => void socket.destroy());
        socket.write(says);
        const [answer] = (await once(socket, 'data')) as [Buffer];
        return answer.toString().slice(0, 12);
      }),
    );
  for (let i = 0; i < 20; i += 1) expect(new Set(await answers(50))).toEqual(new Set(['HTTP/1.1 200']));
  expect(new Set(await answers(50))).toEqual(new Set(['HTTP/1.1 429']));
  for (let i = 0; i < 3; i += 1) expect(await ask(api, false)).toBe(200);
  const { items } = await api.store.denials.list({ type: 'request.denied', limit: 100 });
  const ofKey = items.filter(({ actor }) => actor !== 'anonymous');
  expect(ofKey).toMatchObject([{ subject: 'API port', data: { code: 'RESOURCE_EXHAUSTED' } }]);
});

describe('a connection without a key', () => {
  /** Resolves also when the server resets it. */
  const closeOf = (socket: Socket): Promise<unknown> =>
    new Promise((closed) => socket.on('error', () => undefined).once('close', closed));

  it('is ended in seconds, whatever it says', async () => {
    const { base } = await startApi();
    const ends = Object.values(kinds).map(async ({ says, trickles }) => {
      const socket = connect(Number(new URL(base).port), '127.0.0.1').resume();
      socket.on('error', () => undefined);
      onTestFinished(() => void socket.destroy());
      if (says !== '') socket.write(says);
      const timer = trickles ? setInterval(() => socket.write('x'), 200) : undefined;
      await closeOf(socket);
      clearInterval(timer);
    });
    await Promise.all(ends);
  });

  it.each([
    ['/nope', 404],
    ['/api/v1/nope', 404],
    ['/livez', 405],
    ['/%zz', 404],
  ])('gets its answer before its body at %s, and is ended', async (path, status) => {
    const { base } = await startApi();
    const socket = connect(Number(new URL(base).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    const closed = closeOf(socket);
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`,
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    socket.resume();
    await closed;
  });

  it('gets its answer although it goes on sending', async () => {
    const { base } = await startApi();
    const socket = connect(Number(new URL(base).port), '127.0.0.1');
    onTestFinished(() => void socket.destroy());
    socket.write(`${head('POST', 2_000_000)}\r\n{`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 401 /);
    for (let i = 0; i < 10; i += 1) await new Promise<void>((sent) => socket.write('x'.repeat(10_000), () => sent()));
  });
});
