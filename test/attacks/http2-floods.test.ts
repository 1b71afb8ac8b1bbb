// Floods of frames that reach no call, on both sides of an HTTP/2 session: it is ended, and its calls with it. What
// honest peers send in bursts ends nothing.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NodeIdentity } from '../../certs/identity.ts';
import { ALPN, linkServerOptions } from '../../certs/tls.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import { grpcClient, type GrpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost, type AsyncHandlers, type StreamPeer } from '../../lib/grpc/server.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { listenAt } from '../../lib/net/listen.ts';
import { acceptTls } from '../../mesh/accept-tls.ts';
import type { MeshStream } from '../../mesh/types.ts';
import type { TopologyClient, TopologyHandlers } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode } from '../support/mesh.ts';
import { socketPair } from '../support/streams.ts';
import { waitFor } from '../support/wait.ts';
import { callHead, field, flag, frame, frameType, message, opening, pour, repeated, reset } from './http2-frames.ts';

const { Topology } = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
/** nghttp2 finds some of them itself. */
const fault = /^(RATE_LIMITED|PROTOCOL)$/;
/** Calls end before that is told where nghttp2 has found it. */
const lost = /^(RATE_LIMITED|PROTOCOL|UNREACHABLE)$/;
const watch = callHead('/isthmus.topology.v1.Topology/Watch');
const answerHead = Buffer.concat([field(':status', '200'), field('content-type', 'application/grpc')]);

/** The call that the peer has open. */
const call = 1;
const most = 1_000_000;
const few = 20_000;
const number = (value: number) => Buffer.from([0, 0, 0, value]);
const origin = Buffer.concat([Buffer.from([0, 1]), Buffer.from('a')]);
const many = (times: number, ...each: Buffer[]) => repeated(times, () => each);

const windowUpdates = () => many(most, frame(frameType.windowUpdate, 0, 0, number(1)));

const toEither: Readonly<Record<string, () => Iterable<Buffer>>> = {
  'WINDOW_UPDATE of the connection': windowUpdates,
  'WINDOW_UPDATE of a call': () => many(most, frame(frameType.windowUpdate, 0, call, number(1))),
  PRIORITY: () => many(most, frame(frameType.priority, 0, call, Buffer.alloc(5))),
  'frames of no known type': () => many(most, frame(0xfa, 0, 0, Buffer.alloc(4))),
  'DATA with nothing in it': () => many(most, frame(frameType.data, 0, call)),
  'DATA of a byte': () => many(most, frame(frameType.data, 0, call, Buffer.alloc(1))),
  'DATA that is padding': () =>
    many(100_000, frame(frameType.data, flag.padded, call, Buffer.alloc(200, 199).fill(0, 1))),
  PING: () => many(most, frame(frameType.ping, 0, 0, Buffer.alloc(8))),
  SETTINGS: () => many(most, frame(frameType.settings, 0, 0)),
};
/** The head of a message of 4 MB. */
const longHead = Buffer.from([0, 0, 0x3f, 0, 0]);
/** A field that no type has. */
const small = message(Buffer.from([0x78, 0]));
/** Of a call that is answered: a client takes no other. */
const ofCalls: Readonly<Record<string, () => Iterable<Buffer>>> = {
  'pieces of 64 bytes': () =>
    repeated(most / 10, (i) => [frame(frameType.data, 0, call, i === 0 ? longHead : Buffer.alloc(64))]),
  'empty messages': () => many(100, frame(frameType.data, 0, call, Buffer.alloc(16_384))),
  'small messages': () => many(100, frame(frameType.data, 0, call, Buffer.concat(Array<Buffer>(2_000).fill(small)))),
};
const answered = Object.entries(ofCalls).map(([name, flood]) => [name, () => answer(flood())] as const);
function* answer(flood: Iterable<Buffer>) {
  yield frame(frameType.headers, flag.endHeaders, call, answerHead);
  yield* flood;
}

const toServer = {
  ...ofCalls,
  'WINDOW_UPDATE of a call that has ended': function* () {
    yield frame(frameType.headers, flag.endHeaders, call + 2, watch);
    yield reset(call + 2);
    yield* many(most, frame(frameType.windowUpdate, 0, call + 2, number(1)));
  },
};
const toClient = {
  ...Object.fromEntries(answered),
  ALTSVC: () => many(most, frame(frameType.altSvc, 0, 0, Buffer.concat([origin, Buffer.from('h2=":1"')]))),
  ORIGIN: () => many(most, frame(frameType.origin, 0, 0, origin)),
  'interim answers': () => many(few, frame(frameType.headers, flag.endHeaders, call, field(':status', '103'))),
  'pushed answers': () =>
    repeated(few, (i) => {
      const promised = Buffer.alloc(4);
      promised.writeUInt32BE(2 + 2 * i);
      return [frame(frameType.push, flag.endHeaders, call, Buffer.concat([promised, watch]))];
    }),
};

type Watch = AsyncHandlers<TopologyHandlers, StreamPeer>['Watch'];

function topologyHost(found: IsthmusError[], Watch: Watch = (open) => void open.resume()): GrpcHost {
  const host = new GrpcHost({ log: silentLogger(), onError: (error) => found.push(error) });
  onTestFinished(() => host.stop());
  host.add<TopologyHandlers>(Topology.service, { Watch }, { Watch: { anyone: true } });
  return host;
}

function topologyClient(connect: () => Promise<Duplex>): GrpcClient<TopologyClient> {
  const client = grpcClient<TopologyClient>(Topology, connect, { hop: 't1' });
  onTestFinished(() => client.close());
  return client;
}

/** How a call that lasts ends; resolves to the promise once it has begun. */
async function lasting(client: GrpcClient<TopologyClient>): Promise<{ readonly ended: Promise<IsthmusError> }> {
  const open = (await client.ready()).watch();
  const ended = new Promise<IsthmusError>((resolve) => {
    open.on('error', (error: unknown) => resolve(client.errorOf(error)));
  });
  open.resume();
  return { ended };
}

/** Plays the server of HTTP/2: answers nothing, and floods once a call has come in. */
async function floodCaller(stream: Duplex, flood: Iterable<Buffer>): Promise<void> {
  stream.on('error', () => undefined);
  stream.write(frame(frameType.settings, 0, 0));
  await once(stream, 'data');
  stream.resume();
  await pour(stream, flood);
}

/** The address of a port where every link is flooded. */
async function floodingParent(identity: NodeIdentity): Promise<string> {
  const server = createServer((raw) => {
    raw.on('error', () => undefined);
    acceptTls(raw, { ...linkServerOptions(identity), ALPNProtocols: [ALPN.link] }).then(
      (stream) => floodCaller(stream, windowUpdates()),
      () => raw.destroy(),
    );
  });
  onTestFinished(() => void server.close());
  const { port } = await listenAt(server, '127.0.0.1', 0);
  return `127.0.0.1:${port}`;
}

describe('a server', () => {
  it.each(Object.entries({ ...toEither, ...toServer }))('ends a session with a flood of %s', async (_, flood) => {
    const found: IsthmusError[] = [];
    const [near, far] = await socketPair();
    near.on('error', () => undefined);
    topologyHost(found).accept(far);
    near.resume().write(Buffer.concat([opening, frame(frameType.headers, flag.endHeaders, call, watch)]));
    await pour(near, flood());
    await waitFor(() => far.destroyed, { what: 'the end of the session' });
    expect(found.map(({ code }) => code)).toEqual([expect.stringMatching(fault)]);
  });
});

describe('a client', () => {
  it.each(Object.entries({ ...toEither, ...toClient }))('ends a session with a flood of %s', async (_, flood) => {
    const [near, far] = await socketPair();
    const found: string[] = [];
    const stream = Object.assign(near, { onFault: ({ code }: IsthmusError) => found.push(code) });
    const { ended } = await lasting(topologyClient(() => Promise.resolve(stream)));
    await floodCaller(far, flood());
    expect(await ended).toMatchObject({ code: expect.stringMatching(lost) as string, hop: 't1' });
    expect(found).toEqual([expect.stringMatching(fault)]);
  });

  it('records who flooded it, over a link and from end to end', async () => {
    const authority = await createTestMesh();
    const parent = await floodingParent(await authority.identity('relay-1', 'relay'));
    const child = await startNode(authority, 'relay-2', 'relay', { parents: [{ node: 'relay-1', address: parent }] });
    await waitFor(() => child.mesh.denials.latest().length > 0, { what: 'the denial of the link' });
    expect(child.mesh.denials.latest()).toMatchObject([{ code: 'RATE_LIMITED', by: 'relay-1', what: 'link' }]);

    const server = await startNode(authority, 'server-1', 'server');
    const tentacle = await startNode(authority, 't1', 'tentacle', {
      parents: [{ node: 'server-1', address: server.mesh.address! }],
    });
    await linked(server, tentacle);
    tentacle.mesh.listen('tentacle', (stream: MeshStream) => {
      void floodCaller(stream, windowUpdates());
    });
    const options = { node: 't1', service: 'tentacle', class: 'control', deadlineMs: 10_000 } as const;
    const { ended } = await lasting(topologyClient(() => server.mesh.dial(options)));
    expect(await ended).toMatchObject({ code: 'RATE_LIMITED', hop: 't1' });
    expect(server.mesh.denials.latest()).toMatchObject([{ code: 'RATE_LIMITED', by: 't1', what: 'HTTP/2' }]);
    expect(server.mesh.links().some(({ up }) => up)).toBe(true);
  });
});

it('calls that are given up while much is on its way to them end no session', async () => {
  const found: unknown[] = [];
  const [near, far] = await socketPair();
  const large = { dial: [{ node: 'x'.repeat(1024 * 1024), address: '' }] };
  const host = topologyHost(found as IsthmusError[], (open) => {
    open.on('error', () => undefined);
    for (let i = 0; i < 16; i += 1) open.write(large);
  });
  host.accept(far);
  const stream = Object.assign(near, { onFault: ({ message }: IsthmusError) => found.push(message) });
  const client = topologyClient(() => Promise.resolve(stream));
  for (let i = 0; i < 20; i += 1) {
    const open = (await client.ready()).watch();
    open.on('error', () => undefined);
    await once(open, 'data');
    open.cancel();
  }
  expect(near.destroyed).toBe(false);
  expect(found).toEqual([]);
});
