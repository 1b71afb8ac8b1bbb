// gRPC over injected streams: calls, denials, windows, and clean-up after a stream dies.
import { status } from '@grpc/grpc-js';
import { Metadata } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, test } from 'vitest';
import { grpcClient, MAX_MESSAGE_BYTES, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type MethodAccess } from '../../lib/grpc/server.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { IdentityClient } from '../../proto/gen/isthmus/identity/v1/Identity.ts';
import type { Assignment__Output } from '../../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { NodeReport__Output } from '../../proto/gen/isthmus/topology/v1/NodeReport.ts';
import type { SourcesClient, SourcesHandlers } from '../../proto/gen/isthmus/topology/v1/Sources.ts';
import type { TopologyClient, TopologyHandlers } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import { socketPair } from '../support/streams.ts';
import { waitFor } from '../support/wait.ts';

interface TestPeer {
  node: string;
  role: string;
}

const topology = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
const identity = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;
const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

function host(): GrpcHost<TestPeer> {
  const grpcHost = new GrpcHost<TestPeer>({ log: silentLogger() });
  cleanups.push(() => grpcHost.stop());
  return grpcHost;
}

function sourcesHost(find: AsyncHandlers<SourcesHandlers, TestPeer>['Find']): GrpcHost<TestPeer> {
  const grpcHost = host();
  grpcHost.add<SourcesHandlers>(topology.Sources.service, { Find: find }, { Find: { roles: ['mirror'] } });
  return grpcHost;
}

interface Dialled {
  readonly client: GrpcClient<SourcesClient>;
  readonly near: Duplex[];
  readonly far: Duplex[];
}

function dialSources(
  to: GrpcHost<TestPeer>,
  role = 'mirror',
  pair: () => Promise<[Duplex, Duplex]> = socketPair,
): Dialled {
  const near: Duplex[] = [];
  const far: Duplex[] = [];
  const client = grpcClient<SourcesClient>(
    topology.Sources,
    async () => {
      const [a, b] = await pair();
      near.push(a);
      far.push(b);
      to.accept(Object.assign(b, { peer: { node: 'm-1', role } }));
      return a;
    },
    { hop: 'server-1' },
  );
  cleanups.push(() => client.close());
  return { client, near, far };
}

function find(client: GrpcClient<SourcesClient>, sha256 = 'x', deadlineMs = 5_000): Promise<{ downloadToken: string }> {
  return client.unary((c, options, done) => c.find({ sha256 }, options, done), { deadlineMs });
}

async function failure(promise: Promise<unknown>): Promise<IsthmusError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(IsthmusError);
  return thrown as IsthmusError;
}

describe('unary calls', () => {
  test('share one connection, and name the caller', async () => {
    const callers: string[] = [];
    const { client, near } = dialSources(
      sourcesHost((call, caller) => {
        callers.push(caller.peer.node);
        return { downloadToken: `token for ${call.request.sha256}` };
      }),
    );
    const answers = await Promise.all([find(client, 'a'), find(client, 'b'), find(client, 'c')]);
    expect(answers.map((answer) => answer.downloadToken).sort()).toEqual(['token for a', 'token for b', 'token for c']);
    expect(near).toHaveLength(1);
    expect(callers).toEqual(['m-1', 'm-1', 'm-1']);
  });

  test('a thrown error arrives with code, hop, field, remedy, action and message, whatever its characters', async () => {
    const { client } = dialSources(
      sourcesHost(() => {
        throw new IsthmusError('NOT_FOUND', 'kein “Päckchen” 包\u2028\nhere', {
          hop: 'relay-eu',
          field: 'sources[0]',
          remedy: 'Schau nach – dort',
          action: { code: 'REVOKE_NODE', arguments: { node: 'web-1' } },
        });
      }),
    );
    const error = await failure(find(client));
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      hop: 'relay-eu',
      field: 'sources[0]',
      remedy: 'Schau nach – dort',
      action: { code: 'REVOKE_NODE', arguments: { node: 'web-1' } },
    });
    expect(error.message).toBe('kein “Päckchen” 包\u2028\nhere');
  });

  test('an unexpected error reveals nothing', async () => {
    const { client } = dialSources(
      sourcesHost(() => {
        throw new Error('password=hunter2');
      }),
    );
    const error = await failure(find(client));
    expect(error).toMatchObject({ code: 'INTERNAL', message: 'internal error' });
  });

  test('an unknown method is METHOD_UNKNOWN', async () => {
    const grpcHost = host();
    const [near, far] = await socketPair();
    grpcHost.accept(Object.assign(far, { peer: { node: 'm-1', role: 'mirror' } }));
    const client = grpcClient<IdentityClient>(identity.Identity, async () => near);
    cleanups.push(() => client.close());
    const error = await failure(client.unary((c, o, done) => c.confirm({}, o, done), { deadlineMs: 5_000 }));
    expect(error.code).toBe('METHOD_UNKNOWN');
  });
});

describe('denials', () => {
  test('another role is denied and the handler does not run', async () => {
    let ran = 0;
    const { client } = dialSources(
      sourcesHost(() => {
        ran += 1;
        return {};
      }),
      'tentacle',
    );
    expect((await failure(find(client))).code).toBe('ROLE_FORBIDDEN');
    expect(ran).toBe(0);
  });

  test('a stream without identity is denied, also when it names another stream in its metadata', async () => {
    let ran = 0;
    const grpcHost = sourcesHost(() => {
      ran += 1;
      return {};
    });
    const { client: good } = dialSources(grpcHost);
    await find(good);
    const [near, far] = await socketPair();
    grpcHost.accept(far);
    const client = grpcClient<SourcesClient>(topology.Sources, async () => near);
    cleanups.push(() => client.close());
    const forged = new Metadata();
    forged.set('isthmus-stream', '1');
    const error = await failure(
      client.unary((c, options, done) => c.find({ sha256: 'x' }, forged, options, done), { deadlineMs: 5_000 }),
    );
    expect(error.code).toBe('ROLE_FORBIDDEN');
    expect(ran).toBe(1);
  });

  test('a method without an access rule stops the start-up', () => {
    const none = {} as { Find: MethodAccess };
    expect(() => host().add<SourcesHandlers>(topology.Sources.service, { Find: () => ({}) }, none)).toThrow(
      expect.objectContaining({ code: 'ACCESS_MISSING' }),
    );
  });

  test('a message over the limit is rejected in both directions', async () => {
    let ran = 0;
    const { client } = dialSources(
      sourcesHost((call) => {
        ran += 1;
        return { downloadToken: call.request.sha256 === 'big' ? 'y'.repeat(MAX_MESSAGE_BYTES + 1) : '' };
      }),
    );
    expect((await failure(find(client, 'x'.repeat(MAX_MESSAGE_BYTES + 1)))).code).toBe('RESOURCE_EXHAUSTED');
    expect(ran).toBe(0);
    expect((await failure(find(client, 'big'))).code).toBe('RESOURCE_EXHAUSTED');
    await find(client);
  });

  test('64 KB of metadata does not reach a handler', async () => {
    let ran = 0;
    const { client } = dialSources(
      sourcesHost(() => {
        ran += 1;
        return {};
      }),
    );
    await find(client);
    const metadata = new Metadata();
    for (let i = 0; i < 16; i += 1) metadata.set(`h${i}`, 'v'.repeat(4096));
    const error = await failure(
      client.unary((c, options, done) => c.find({ sha256: 'x' }, metadata, options, done), { deadlineMs: 5_000 }),
    );
    expect(error.code).not.toBe('DEADLINE_EXCEEDED');
    expect(ran).toBe(1);
  });
});

describe('a stream that dies', () => {
  test('fails the calls in flight as UNREACHABLE, and the next call connects again', async () => {
    const { client, near, far } = dialSources(
      sourcesHost((call) => (call.request.sha256 === 'hang' ? new Promise(() => undefined) : {})),
    );
    const hanging = [1, 2, 3].map(() => failure(find(client, 'hang')));
    await waitFor(() => near.length === 1);
    await find(client);
    far[0]?.destroy();
    // In our words, not in those of grpc-js about its sockets.
    const message = 'the connection to server-1 has ended';
    for (const error of await Promise.all(hanging))
      expect(error).toMatchObject({ code: 'UNREACHABLE', hop: 'server-1', message });
    await find(client);
    expect(near).toHaveLength(2);
    expect(near[0]?.destroyed).toBe(true);
  });

  test('a failed connect fails the call with its own error, and the next call retries at once', async () => {
    let dials = 0;
    const grpcHost = sourcesHost(() => ({}));
    const client = grpcClient<SourcesClient>(topology.Sources, async () => {
      dials += 1;
      if (dials === 1) throw new IsthmusError('UNREACHABLE', 'no link', { hop: 'eu' });
      const [a, b] = await socketPair();
      grpcHost.accept(Object.assign(b, { peer: { node: 'm-1', role: 'mirror' } }));
      return a;
    });
    cleanups.push(() => client.close());
    expect(await failure(find(client))).toMatchObject({ code: 'UNREACHABLE', hop: 'eu', message: 'no link' });
    await find(client);
    expect(dials).toBe(2);
  });

  test('close ends calls, streams and a pending connect', async () => {
    const grpcHost = sourcesHost(() => new Promise(() => undefined));
    const { client, near, far } = dialSources(grpcHost);
    const hanging = failure(find(client));
    await waitFor(() => near.length === 1 && client.stream !== undefined);
    client.close();
    expect((await hanging).code).toMatch(/UNREACHABLE|CANCELLED/);
    await waitFor(() => near[0]?.closed === true && far[0]?.closed === true, { what: 'both ends to close' });
    expect((await failure(find(client))).code).toBe('CANCELLED');

    let aborted = false;
    const slow = grpcClient<SourcesClient>(topology.Sources, (signal) => {
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(new IsthmusError('CANCELLED', 'closed'));
        });
      });
    });
    const waiting = failure(find(slow));
    slow.close();
    expect((await waiting).code).toBe('CANCELLED');
    expect(aborted).toBe(true);
  });

  test('a deadline covers the connect, and a signal cancels the call at the server', async () => {
    let cancelled = false;
    const never = grpcClient<SourcesClient>(topology.Sources, () => new Promise(() => undefined));
    cleanups.push(() => never.close());
    expect((await failure(find(never, 'x', 50))).code).toBe('DEADLINE_EXCEEDED');
    let started = false;
    const { client } = dialSources(
      sourcesHost((call) => {
        started = true;
        call.on('cancelled', () => (cancelled = true));
        return new Promise(() => undefined);
      }),
    );
    const giveUp = new AbortController();
    const call = failure(
      client.unary((c, o, done) => c.find({ sha256: 'x' }, o, done), { deadlineMs: 5_000, signal: giveUp.signal }),
    );
    await waitFor(() => started);
    giveUp.abort();
    expect((await call).code).toBe('CANCELLED');
    await waitFor(() => cancelled);
  });

  test('100 forced teardowns under upload leak no stream and hang no call', async () => {
    const grpcHost = host();
    grpcHost.add<TopologyHandlers>(
      topology.Topology.service,
      {
        Watch: (call) => {
          call.on('data', () => call.write({ dial: [] }));
          call.on('error', () => undefined);
        },
      },
      { Watch: { roles: ['relay'] } },
    );
    const streams: Duplex[] = [];
    const endings: Promise<number>[] = [];
    for (let round = 0; round < 100; round += 1) {
      const client = grpcClient<TopologyClient>(topology.Topology, async () => {
        const [a, b] = await socketPair();
        streams.push(a, b);
        grpcHost.accept(Object.assign(b, { peer: { node: 'r', role: 'relay' } }));
        return a;
      });
      const call = (await client.ready()).watch();
      endings.push(
        new Promise((resolve) => call.on('error', (error) => resolve((error as { code?: number }).code ?? -1))),
      );
      const answered = new Promise((resolve) => call.once('data', resolve));
      call.on('data', () => undefined);
      for (let i = 0; i < 20; i += 1) call.write({ feedUrl: 'z'.repeat(60_000) });
      await answered;
      if (round % 3 === 0) client.close();
      else streams.at(round % 3 === 1 ? -1 : -2)?.destroy();
    }
    const codes = await Promise.all(endings);
    expect(new Set(codes)).toEqual(new Set([status.UNAVAILABLE]));
    await waitFor(() => streams.every((stream) => stream.closed), { what: 'every stream to close' });
  });
});

test.each(['up', 'down'] as const)('2 MiB go %s without one window update coming back', async (direction) => {
  const received = { up: 0, down: 0 };
  const big = 'z'.repeat(64 * 1024);
  const grpcHost = host();
  grpcHost.add<TopologyHandlers>(
    topology.Topology.service,
    {
      Watch: (call) => {
        call.on('data', (report: NodeReport__Output) => {
          received.up += report.feedUrl.length;
          if (report.softwareVersion === 'send') {
            for (let i = 0; i < 32; i += 1) call.write({ dial: [{ node: 'n', address: big }] });
          } else call.write({ dial: [] });
        });
        call.on('error', () => undefined);
      },
    },
    { Watch: { roles: ['relay'] } },
  );
  const [near, middleNear] = await socketPair();
  const [middleFar, far] = await socketPair();
  const held = { up: false, down: false };
  middleNear.on('data', (chunk) => held.up || middleFar.write(chunk));
  middleFar.on('data', (chunk) => held.down || middleNear.write(chunk));
  cleanups.push(() => [near, middleNear, middleFar, far].forEach((socket) => socket.destroy()));
  grpcHost.accept(Object.assign(far, { peer: { node: 'r', role: 'relay' } }));
  const client = grpcClient<TopologyClient>(topology.Topology, async () => near);
  cleanups.push(() => client.close());
  const call = (await client.ready()).watch();
  call.on('error', () => undefined);
  let answers = 0;
  call.on('data', (assignment: Assignment__Output) => {
    answers += 1;
    for (const dial of assignment.dial) received.down += dial.address.length;
  });
  // A first round trip, so that both ends have exchanged their settings.
  call.write({ feedUrl: '' });
  await waitFor(() => answers === 1);
  if (direction === 'up') {
    held.down = true;
    for (let i = 0; i < 32; i += 1) call.write({ feedUrl: big });
  } else {
    call.write({ softwareVersion: 'send' });
    await waitFor(() => received.down > 0);
    held.up = true;
  }
  await waitFor(() => received[direction] === 32 * big.length, { what: `2 MiB; ${JSON.stringify(received)}` });
});

test('stop ends idle and busy streams', async () => {
  const grpcHost = sourcesHost(() => new Promise(() => undefined));
  const { client, near, far } = dialSources(grpcHost);
  const hanging = failure(find(client));
  await waitFor(() => near.length === 1 && client.stream !== undefined);
  await grpcHost.stop();
  await hanging;
  await waitFor(() => near[0]?.closed === true && far[0]?.closed === true);
});
