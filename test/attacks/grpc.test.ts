// Hostile calls to every gRPC service that a peer may open, and to enrolment without a certificate. Each is denied with
// a status that says whose fault it is, no handler sees it, memory does not grow, and others are served.
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import type { Duplex } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { sessionByDialling } from '../../certs/enrolment/session.ts';
import { ALPN } from '../../certs/tls.ts';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { connectTo } from '../../mesh/link/connection.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { linked, startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

/** 64 MB in 64 KB: all of it fits into what a peer without a certificate may send. */
const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024), { level: 9 });
/** Nested groups of a field that no message has. */
const nested = Buffer.alloc(100_000, 0x7b);
const boundBytes = 20 * 1024 * 1024;
const identity = loadDefinitions('isthmus/identity/v1/identity.proto').isthmus.identity.v1;
const topology = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
const [invalid, exhausted, unimplemented] = [3, 8, 12];

interface Surface {
  /** Its methods, as the .proto file has them. */
  readonly service: Readonly<Record<string, { readonly path: string }>>;
  /** Returns how a peer opens a stream to it. */
  prepare(plane: ControlPlane): Promise<() => Promise<Duplex>>;
}

async function nodeBelow(plane: ControlPlane) {
  const parents = [{ node: 'server-1', address: plane.address }];
  const row = { id: 'web-9', role: 'tentacle', site: 'eu', parents: [{ node: 'server', dialAddress: null }] } as const;
  await plane.store.transaction((tx) => tx.nodes.insert({ ...row, createdAt: Date.now() }));
  const node = await startNode(plane.authority, 'web-9', 'tentacle', { listen: undefined, parents });
  await linked({ ...plane.node, name: 'server-1', mesh: plane.mesh }, node);
  return node;
}

const upwards = (service: string) => async (plane: ControlPlane) => {
  const { mesh } = await nodeBelow(plane);
  return () => mesh.dial({ node: 'server', service, class: 'control', deadlineMs: 10_000 });
};

const downwards = (service: string) => async (plane: ControlPlane) => {
  const { dataDir } = await plane.authority.node('web-1', 'tentacle');
  const parents = [{ node: 'server-1', address: plane.address }];
  const tentacle = await startTentacle({ dataDir, parents }, { log: silentLogger() });
  onTestFinished(() => tentacle.stop());
  await waitFor(() => plane.mesh.links().some(({ peer, up }) => peer === 'web-1' && up), { what: 'the link' });
  return () => plane.mesh.dial({ node: 'web-1', service, path: [], class: 'control', deadlineMs: 10_000 });
};

const surfaces: Record<string, Surface> = {
  enrolment: {
    service: identity.Enrolment.service,
    prepare: (plane) =>
      Promise.resolve(async () => {
        const signal = AbortSignal.timeout(10_000);
        const route = { destination: 'server', source: 'joining', deadlineMs: 10_000, signal };
        const { tls } = await openEnrol(plane.address, route);
        return (await sessionByDialling(tls, plane.pin)).socket;
      }),
  },
  identity: { service: identity.Identity.service, prepare: upwards('identity') },
  topology: { service: topology.Topology.service, prepare: upwards('topology') },
  sources: { service: topology.Sources.service, prepare: upwards('topology') },
  link: {
    // Without an attached link, any message of a tunnel is denied.
    service: { Attach: loadDefinitions('isthmus/mesh/v1/link.proto').isthmus.mesh.v1.Link.service.Attach },
    async prepare(plane) {
      const { identity } = await plane.authority.node('relay-9', 'relay');
      return async () =>
        (await connectTo(plane.address, ALPN.link, identity.current(), AbortSignal.timeout(10_000))).tls;
    },
  },
  tentacle: {
    service: loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.Tentacle.service,
    prepare: downwards('tentacle'),
  },
  upgrade: {
    service: loadDefinitions('isthmus/upgrade/v1/upgrade.proto').isthmus.upgrade.v1.Upgrade.service,
    prepare: downwards('upgrade'),
  },
};

function message(payload: Buffer, { compressed = false, length = payload.length } = {}): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(compressed ? 1 : 0, 0);
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, payload]);
}

/** Makes one call with this body; returns its grpc-status, or what ended the stream instead. */
function call(session: ClientHttp2Session, path: string, body: Buffer, headers = {}): Promise<number | string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const told = (found: Record<string, unknown>) => {
      if (found['grpc-status'] !== undefined) resolve(Number(found['grpc-status']));
    };
    stream.on('response', told).on('trailers', told);
    stream.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    stream.on('close', () => resolve(`closed ${stream.rstCode}`));
    stream.resume().end(body);
  });
}

/** Makes each hostile call of a method over a stream; returns the result of each. */
async function attack(method: string, stream: Duplex): Promise<Record<string, number | string>> {
  stream.on('error', () => undefined);
  const session = connect('http://isthmus', { createConnection: () => stream });
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  const outcomes = {
    'a length of 4 GB': await call(session, method, message(Buffer.alloc(9), { length: 0xffff_ffff })),
    'a gzip bomb': await call(session, method, message(bomb, { compressed: true }), { 'grpc-encoding': 'gzip' }),
    'a varint without an end': await call(session, method, message(Buffer.alloc(64, 0xff))),
    'groups in groups': await call(session, method, message(nested)),
    'a wire type that is none': await call(session, method, message(Buffer.from([0x7f, 0x01, 0x02]))),
    'a length beyond the end': await call(session, method, message(Buffer.from([0x7a, 0xff, 0xff, 0x7f, 0x01]))),
    'an unknown method': await call(session, `${method}Twice`, message(Buffer.alloc(0))),
    'an unknown service': await call(session, '/evil.v1.Evil/Do', message(Buffer.alloc(0))),
  };
  // Metadata of 64 KB reaches no handler.
  const large = await call(session, method, message(Buffer.alloc(0)), { 'x-large': 'x'.repeat(65_000) });
  expect(large).not.toBe(constants.NGHTTP2_NO_ERROR);
  session.destroy();
  return outcomes;
}

describe.each(Object.entries(surfaces))('%s', (_name, { service, prepare }) => {
  it('rejects what is no message of its type, too large, or unknown, at every method, and serves on', async () => {
    const plane = await startControlPlane();
    const open = await prepare(plane);
    const grownBytes: number[] = [];
    const methods = Object.values(service).map(({ path }) => path);
    for (const method of [...methods, ...methods, ...methods]) {
      const before = process.memoryUsage.rss();
      expect(await attack(method, await open()), method).toEqual({
        'a length of 4 GB': exhausted,
        'a gzip bomb': exhausted,
        'a varint without an end': invalid,
        'groups in groups': invalid,
        'a wire type that is none': invalid,
        'a length beyond the end': invalid,
        'an unknown method': unimplemented,
        'an unknown service': unimplemented,
      });
      grownBytes.push(process.memoryUsage.rss() - before);
    }
    // The attackers are in this process too. Inflating an attack would take 64 MB.
    expect(Math.max(...grownBytes)).toBeLessThan(boundBytes);
    // Others are still served.
    const node = await plane.mesh.dial({ node: 'server', service: 'echo', class: 'control', deadlineMs: 10_000 });
    expect(node.peer.node).toBe('server-1');
    node.destroy();
  });
});

it('a relay may not ask where packages are, with its own valid certificate', async () => {
  const plane = await startControlPlane();
  const parents = [{ node: 'server-1', address: plane.address }];
  const relay = await startNode(plane.authority, 'relay-9', 'relay', { parents });
  await linked({ ...plane.node, name: 'server-1', mesh: plane.mesh }, relay);
  const options = { node: 'server', service: 'topology', class: 'control', deadlineMs: 10_000 } as const;
  const client = grpcClient(topology.Sources, (signal) => relay.mesh.dial({ ...options, signal }));
  onTestFinished(() => client.close());
  const find = client.unary((c, o, done) => c.find({ sha256: 'a'.repeat(64) }, o, done), { deadlineMs: 10_000 });
  await expect(find).rejects.toMatchObject({ code: 'ROLE_FORBIDDEN' });
  const [event] = await waitFor(async () => {
    const found = await plane.denials('peer.denied');
    return found.length > 0 && found;
  });
  const what = '/isthmus.topology.v1.Sources/Find';
  expect(event).toMatchObject({ actor: 'server-1', subject: 'relay-9', data: { code: 'ROLE_FORBIDDEN', what } });
});
