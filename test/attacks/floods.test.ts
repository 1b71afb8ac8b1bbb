// Floods of HTTP/2 frames at the port of a server and of a relay, by peers with every kind of certificate: the memory
// of the process does not grow beyond that of honest work, others are still served, and the connection is ended.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ALPN } from '../../certs/tls.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { connectTo } from '../../mesh/link/connection.ts';
import { encodeHello } from '../../mesh/link/hello.ts';
import { encodeRequest, newTunnelId } from '../../mesh/tunnel/request.ts';
import { linkService } from '../../mesh/wire.ts';
import type { OpenTunnel__Output } from '../../proto/gen/isthmus/mesh/v1/OpenTunnel.ts';
import type { TunnelFrame } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { startControlPlane } from '../support/control-plane.ts';
import { fakeParent } from '../support/fake-parent.ts';
import { fakeLink, type FakeLink } from '../support/fake-link.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { startNode, type StartedNode } from '../support/mesh.ts';
import { startChildProcess, type MeshProcess } from '../support/mesh-process.ts';
import { waitFor } from '../support/wait.ts';
import {
  callHead,
  field,
  flag,
  frame,
  frameType,
  message,
  opening,
  pour,
  repeated,
  reset,
  noWindows,
} from './http2-frames.ts';

const boundBytes = 20 * 1024 * 1024;
const paths = { attach: '/isthmus.mesh.v1.Link/Attach', tunnel: '/isthmus.mesh.v1.Link/Tunnel' };

/** The frames of the flood, from this stream number on. */
interface Flood {
  readonly reads?: false;
  /** When nghttp2 detects the flood, not this code. */
  readonly code?: 'PROTOCOL';
  frames(firstStream: number): Iterable<Buffer>;
}

const head = callHead(paths.tunnel);
const large = [1, 2, 3, 4].map((i) => field(`x-${i}`, 'y'.repeat(16_000)));

const floods: Readonly<Record<string, Flood>> = {
  '50,000 calls, each reset at once': {
    frames: (first) =>
      repeated(50_000, (i) => [frame(frameType.headers, flag.endHeaders, first + 2 * i, head), reset(first + 2 * i)]),
  },
  'a header list that goes on in CONTINUATION without end': {
    code: 'PROTOCOL',
    *frames(first) {
      yield frame(frameType.headers, 0, first, head);
      yield* repeated(200_000, () => [frame(frameType.continuation, 0, first, field('x', 'y'))]);
    },
  },
  'PINGs, with their answers read': { frames: () => pings },
  'PINGs, with nothing read': { reads: false, frames: () => pings },
  'SETTINGS, with their acknowledgements read': { frames: () => settings },
  'calls with 64 KB of metadata': {
    frames: (first) =>
      repeated(2_000, (i) => [
        frame(frameType.headers, 0, first + 2 * i, head),
        ...large.map((part, at) =>
          frame(frameType.continuation, at === large.length - 1 ? flag.endHeaders : 0, first + 2 * i, part),
        ),
      ]),
  },
  'calls with windows of nothing, and no answer read': {
    reads: false,
    *frames(first) {
      yield noWindows;
      yield* repeated(50_000, (i) => tunnelCall(first + 2 * i));
    },
  },
  'calls of methods that there are not': {
    frames: (first) =>
      repeated(50_000, (i) => [
        frame(frameType.headers, flag.endHeaders | flag.endStream, first + 2 * i, callHead('/evil.v1.Evil/Do')),
      ]),
  },
};

const pings = {
  *[Symbol.iterator]() {
    yield* repeated(300_000, () => [frame(frameType.ping, 0, 0, Buffer.alloc(8))]);
  },
};
const settings = {
  *[Symbol.iterator]() {
    yield* repeated(300_000, () => [frame(frameType.settings, 0, 0)]);
  },
};

function openEcho(source: string, destination: string) {
  const request = { source, destination, path: [], crossed: [], service: 'echo' } as const;
  return encodeRequest(newTunnelId(), { ...request, serviceClass: 'control', deadlineMs: 10_000 });
}

function tunnelCall(stream: number): Buffer[] {
  const body = message(linkService.Tunnel.requestSerialize({ open: openEcho('t9', 'server') }));
  return [frame(frameType.headers, flag.endHeaders, stream, head), frame(frameType.data, 0, stream, body)];
}

/** Connects a peer to the port at `address`, ready for its flood; returns the first free stream. */
interface Attacker {
  readonly named: string;
  readonly live?: true;
  identity(authority: TestMesh): Promise<NodeIdentity | undefined>;
}

const attackers: readonly Attacker[] = [
  { named: 'without a certificate', identity: () => Promise.resolve(undefined) },
  {
    named: 'with a certificate of another mesh',
    identity: async () => (await createTestMesh('other')).identity('relay-9', 'relay'),
  },
  { named: 'of the mesh, before its hello', identity: (authority) => authority.identity('relay-9', 'relay') },
  { named: 'of the mesh, on a live link', live: true, identity: (authority) => authority.identity('t9', 'tentacle') },
];

async function connected(address: string, identity: NodeIdentity | undefined): Promise<TLSSocket> {
  const { tls } = await connectTo(address, ALPN.link, identity, AbortSignal.timeout(10_000));
  tls.on('error', () => undefined);
  onTestFinished(() => void tls.destroy());
  return tls;
}

/** Says hello as a child relay; resolves once the peer has too. */
async function attach(tls: TLSSocket): Promise<void> {
  const facts = { relation: 'child', epoch: Date.now(), sessionId: randomBytes(16), softwareVersion: 'flood' } as const;
  const hello = encodeHello({ ...facts, revocationsVersion: 0, start: undefined });
  tls.write(frame(frameType.headers, flag.endHeaders, 1, callHead(paths.attach)));
  tls.write(frame(frameType.data, 0, 1, message(linkService.Attach.requestSerialize({ hello }))));
  let heard = Buffer.alloc(0);
  while (!hasData(heard)) {
    const [chunk] = (await once(tls, 'data', { signal: AbortSignal.timeout(10_000) })) as [Buffer];
    heard = Buffer.concat([heard, chunk]);
  }
}

/** Whether a DATA frame is among these. */
function hasData(frames: Buffer): boolean {
  for (let at = 0; at + 9 <= frames.length; at += 9 + frames.readUIntBE(at, 3)) {
    if (frames[at + 3] === frameType.data) return true;
  }
  return false;
}

/** Connects, floods, and waits until the connection has been ended. */
async function attack(address: string, identity: NodeIdentity | undefined, live: boolean, flood: Flood): Promise<void> {
  const tls = await connected(address, identity);
  tls.write(opening);
  if (live) await attach(tls);
  if (flood.reads === false) tls.pause();
  else tls.resume();
  await pour(tls, flood.frames(3));
  // Only a socket that is read reports its end.
  tls.resume();
  await waitFor(() => tls.destroyed, { limitMs: 5_000, what: 'the end of the connection' });
}

interface Scene {
  readonly authority: TestMesh;
  readonly server: MeshProcess;
  readonly relay: MeshProcess;
  readonly honest: StartedNode;
}

/** server ← relay ← honest, the first two as processes grown to the size of honest work. */
async function scene(): Promise<Scene> {
  const authority = await createTestMesh();
  const server = await startChildProcess(await authority.node('server-1', 'server'), {});
  const parents = [{ node: 'server-1', address: server.address }];
  const relay = await startChildProcess(await authority.node('relay-1', 'relay'), { parents });
  const honest = await startNode(authority, 'relay-2', 'relay', {
    parents: [{ node: 'relay-1', address: relay.address }],
  });
  await waitFor(() => echo(honest).then(() => true), { what: 'the path to the server' });
  for (let i = 0; i < 2; i += 1) await Promise.all(Array.from({ length: 150 }, () => echo(honest)));
  return { authority, server, relay, honest };
}

async function echo({ mesh }: StartedNode): Promise<void> {
  (await mesh.dial({ node: 'server', service: 'echo', class: 'control', deadlineMs: 10_000 })).destroy();
}

it.each(['server', 'relay'] as const)('a %s is not moved by a flood', { timeout: 180_000 }, async (victim) => {
  const at = await scene();
  const { address, rssBytes } = at[victim];
  const grownTooFar: string[] = [];
  for (const attacker of attackers) {
    const identity = await attacker.identity(at.authority);
    for (const [named, flood] of Object.entries(floods)) {
      const before = await rssBytes();
      let over = false;
      const others = (async () => {
        do await echo(at.honest);
        while (!over);
      })();
      for (let i = 0; i < 2; i += 1) await attack(address, identity, attacker.live === true, flood);
      over = true;
      await others;
      const grownBytes = (await rssBytes()) - before;
      if (grownBytes > boundBytes) grownTooFar.push(`${attacker.named}: ${named}: ${grownBytes}`);
    }
  }
  expect(grownTooFar).toEqual([]);
});

describe('a flood on a live link', () => {
  it.each(Object.entries(floods))('of %s is one audit event', async (_, flood) => {
    const { code = 'RATE_LIMITED' } = flood;
    const plane = await startControlPlane();
    const row = { id: 't9', role: 'tentacle', site: 'eu', parents: [{ node: 'server', dialAddress: null }] } as const;
    await plane.store.transaction((tx) => tx.nodes.insert({ ...row, createdAt: Date.now() }));
    const identity = await plane.authority.identity('t9', 'tentacle');
    for (let i = 0; i < 2; i += 1) await attack(plane.address, identity, true, flood);
    await waitFor(() => plane.mesh.links().every((link) => !link.up), { what: 'the link to be down' });
    const events = await plane.denials('peer.denied');
    expect(events.map(({ subject, data }) => `${subject} ${String(data.code)}`)).toEqual([`t9 ${code}`]);
  });

  it('of requests by the relay that was dialled ends it, and serves no more than a relay may ask for', async () => {
    const authority = await createTestMesh();
    const parent = await fakeParent(await authority.node('relay-1', 'relay'));
    const parents = [{ node: 'relay-1', address: parent.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, { tunnelsPerLink: 100 });
    await waitFor(() => tentacle.mesh.links().some(({ up }) => up), { what: 'the link' });
    const { attach } = parent.session()!;
    for (let i = 0; i < 1_000; i += 1) attach.write({ open: openEcho('relay-1', 't1') });
    const recorded = () => tentacle.mesh.denials.latest().filter(({ code }) => code === 'RATE_LIMITED');
    await waitFor(() => recorded().length > 0 && parent.session()!.attach !== attach, { what: 'a new session' });
    expect(recorded()).toMatchObject([{ by: 'relay-1', what: 'link' }]);
  });
});

it('a flood of the enrolment itself is ended, and is one denial', async () => {
  const plane = await startControlPlane();
  const { signal } = new AbortController();
  for (let i = 0; i < 2; i += 1) {
    const { tls: outer } = await openEnrol(plane.address, {
      ...{ destination: 'server', source: 'nobody', deadlineMs: 10_000, signal },
    });
    outer.on('error', () => undefined);
    const inner = connectTls({ socket: outer, ALPNProtocols: [ALPN.enrol], rejectUnauthorized: false });
    inner.on('error', () => undefined);
    onTestFinished(() => void inner.destroy());
    await once(inner, 'secureConnect');
    inner.write(opening);
    inner.resume();
    await pour(inner, floods['PINGs, with their answers read']!.frames(3));
    await waitFor(() => inner.destroyed, { limitMs: 10_000, what: 'the end of the session' });
  }
  const events = await waitFor(async () => {
    const found = await plane.denials('peer.denied');
    return found.length > 0 && found;
  });
  expect(events.map(({ actor, data }) => [actor, data.code, data.what])).toEqual([
    ['server-1', 'RATE_LIMITED', 'enrol'],
  ]);
});

describe('what a neighbour may ask for does not grow with what it is asked for', () => {
  const most = 20;
  const limits = { tunnelsPerLink: most, tunnelsPerLeaf: most, bulkPerLink: 10 * most };
  const floodsOf = ({ mesh }: StartedNode) => mesh.denials.latest().filter(({ code }) => code === 'RATE_LIMITED');
  const ask = ({ mesh }: StartedNode, node: string, serviceClass: 'bulk' | 'control', deadlineMs: number) =>
    mesh.dial({ node, service: 'echo', class: serviceClass, deadlineMs });

  /** A server and the leaf that dialled it, which never answers by itself. */
  async function withLeaf(): Promise<{ server: StartedNode; leaf: FakeLink }> {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, { ...limits, tunnelsPerLink: 10 * most });
    const leaf = await fakeLink(server.mesh.address!, (await authority.node('t9', 'tentacle')).identity);
    await waitFor(() => server.mesh.links().some(({ up }) => up), { what: 'the link' });
    return { server, leaf };
  }
  const calls = ({ rpc }: FakeLink, made: number, first: (i: number) => TunnelFrame) => {
    for (let i = 0; i < made; i += 1)
      rpc
        .tunnel()
        .on('error', () => undefined)
        .resume()
        .write(first(i));
  };

  it('where this node dials, of either class', async () => {
    const authority = await createTestMesh();
    const relay = await fakeParent(await authority.node('relay-1', 'relay'));
    const parents = [{ node: 'relay-1', address: relay.address }];
    const node = await startNode(authority, 'relay-2', 'relay', { parents }, limits);
    await waitFor(() => node.mesh.links().some(({ up }) => up), { what: 'the link' });
    const classes = Array.from({ length: most }, (_, i) => (i % 2 === 0 ? 'bulk' : 'control'));
    await Promise.allSettled(classes.map((each) => ask(node, 'server', each, 200)));
    for (let i = 0; i < 2 * most; i += 1) relay.session()!.attach.write({ open: openEcho('relay-1', 'relay-2') });
    await waitFor(() => floodsOf(node).length > 0, { what: 'the flood to be recorded' });
  });

  it.each([
    ['bulk', 2 * most],
    ['control', 3 * most],
  ] as const)('where this node was dialled, by %s tunnels that nobody answers', async (serviceClass, asks) => {
    const { server, leaf } = await withLeaf();
    await Promise.allSettled(Array.from({ length: 8 * most }, () => ask(server, 't9', serviceClass, 200)));
    expect(leaf.frames.filter(({ open }) => open)).toHaveLength(8 * most);
    calls(leaf, asks, () => ({ open: openEcho('t9', 'server') }));
    await leaf.ended;
    expect(floodsOf(server)).toMatchObject([{ by: 't9', what: 'link' }]);
  });

  it('but answers are let through, in whatever number and late', async () => {
    const { server, leaf } = await withLeaf();
    const answer = (opens: readonly OpenTunnel__Output[]) =>
      calls(leaf, opens.length, (i) => ({ answerTunnelId: opens[i]!.tunnelId }));
    const opens = () => leaf.frames.flatMap(({ open }) => open ?? []);
    await Promise.allSettled(Array.from({ length: most }, () => ask(server, 't9', 'control', 100)));
    const late = opens();
    const asked = Array.from({ length: 5 * most }, () => ask(server, 't9', 'control', 10_000).catch(String));
    await waitFor(() => opens().length === 6 * most, { what: 'the requests' });
    answer(late);
    for (const { tunnelId } of opens().slice(most)) {
      const call = leaf.rpc
        .tunnel()
        .on('error', () => undefined)
        .resume();
      call.write({ answerTunnelId: tunnelId });
      call.write({ opened: { error: { code: 'SERVICE_UNKNOWN', detail: 'none here', hop: 't9' } } });
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set([expect.stringContaining('none here')]));
    expect(floodsOf(server)).toEqual([]);
  });
});
