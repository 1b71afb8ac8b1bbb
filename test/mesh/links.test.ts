// Which connections become a link, which of two sessions wins, and how a dead one is detected.
import net from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { checkTcp } from '../../certs/enrolment/preflight.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { ping } from '../../mesh/echo.ts';
import { requireHostPort } from '../../lib/net/host-port.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { cable, fakeLink } from '../support/fake-link.ts';
import { heardLog } from '../support/heard-log.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode } from '../support/mesh.ts';
import { startChildProcess } from '../support/mesh-process.ts';
import { waitFor } from '../support/wait.ts';

const quick = { heartbeatIntervalMs: 100, linkTimeoutMs: 400 };

describe('the hello', () => {
  it.each([
    ['tentacle', 'server', 'PARENT'],
    ['relay', 'relay', 'PARENT'],
    ['tentacle', 'tentacle', 'CHILD'],
    ['server', 'server', 'CHILD'],
    ['server', 'relay', 'CHILD'],
  ] as const)('of a %s to a %s as its %s is denied', async (from, to, relation) => {
    const authority = await createTestMesh();
    const node = await startNode(authority, 'n1', to);
    const other = await authority.node('n2', from);
    const fake = await fakeLink(node.mesh.address!, other.identity, { relation });
    expect((await fake.ended)?.code).toBe('LINK_DENIED');
    expect(node.mesh.links()).toEqual([]);
  });
});

describe('a newer session of the same node', () => {
  it('replaces the old one at once, and an older one is rejected', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const tentacle = await authority.node('t1', 'tentacle');
    const address = server.mesh.address!;
    const first = await fakeLink(address, tentacle.identity, { sessionEpoch: 100 }, { pongs: false });
    await waitFor(() => first.frames.some((frame) => frame.ping), { what: 'the first session' });
    const second = await fakeLink(address, tentacle.identity, { sessionEpoch: 101 });
    await first.ended;
    expect(first.frames.at(-1)?.goodbye?.code).toBe('SESSION_REPLACED');
    const late = await fakeLink(address, tentacle.identity, { sessionEpoch: 100 });
    expect((await late.ended)?.code).toBe('STALE_SESSION');
    expect(server.mesh.links().map((link) => [link.peer, link.up])).toEqual([['t1', true]]);
    expect(second.frames.some((frame) => frame.goodbye)).toBe(false);
  });
});

describe('a peer that asks and reads no answers', () => {
  it('is dropped before its answers fill the memory', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const tentacle = await authority.node('t1', 'tentacle');
    const fake = await fakeLink(server.mesh.address!, tentacle.identity);
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    fake.attach.pause();
    for (let id = 0; id < 20_000; id += 1) fake.attach.write({ ping: { id } });
    await waitFor(() => server.mesh.links()[0]?.lastErrorCode === 'RESOURCE_EXHAUSTED', {
      limitMs: 30_000,
      what: 'the end of it',
    });
  });
});

describe('a peer that falls silent', () => {
  it('is given up by the accepting side', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, quick);
    const tentacle = await authority.node('t1', 'tentacle');
    const fake = await fakeLink(server.mesh.address!, tentacle.identity, {}, { pongs: false });
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    await fake.ended;
    expect(server.mesh.links()[0]).toMatchObject({ up: false, lastErrorCode: 'LINK_TIMEOUT' });
  });

  it('is given up by both sides of a cut cable, and back when it heals', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, quick);
    const line = await cable(server.mesh.address!);
    const parents = [{ node: 'server-1', address: line.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, { ...quick, handshakeMs: 300 });
    await linked(server, tentacle);
    const stream = await server.mesh.dial({ node: 't1', service: 'echo', class: 'control', deadlineMs: 2_000 });
    line.cut();
    await waitFor(() => !server.mesh.links()[0]?.up && !tentacle.mesh.links()[0]?.up, { what: 'both to notice' });
    expect(stream.destroyed).toBe(true);
    line.heal();
    await linked(server, tentacle);
    await ping(server.mesh, { node: 't1', deadlineMs: 2_000 });
  });

  it('is dialled again when its process was killed and came back', async () => {
    const authority = await createTestMesh();
    const relay = await authority.node('relay-1', 'relay');
    const server = await startNode(authority, 'server-1', 'server');
    const first = await startChildProcess(relay, { parents: [{ node: 'server-1' }] });
    server.mesh.assignDials([{ node: 'relay-1', address: first.address }]);
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    await first.kill();
    await waitFor(() => server.mesh.links()[0]?.up === false, { what: 'the loss' });
    await startChildProcess(relay, { listen: first.address, parents: [{ node: 'server-1' }] });
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link again' });
    const { facts } = await ping(server.mesh, { node: 'relay-1', deadlineMs: 2_000 });
    expect(facts.node).toBe('relay-1');
  });
});

describe('the port', () => {
  it('closes a thousand sockets that say nothing, and lets a good peer in among them', async () => {
    const authority = await createTestMesh();
    const limits = { handshakes: 200, handshakeMs: 1_500 };
    const server = await startNode(authority, 'server-1', 'server', {}, limits);
    const [host = '', port = ''] = server.mesh.address!.split(':');
    let open = 0;
    const silent = Array.from({ length: 1_000 }, () => {
      const socket = net.connect(Number(port), host);
      socket.on('connect', () => (open += 1));
      socket.on('error', () => undefined);
      socket.on('close', () => (open -= 1));
      return socket;
    });
    await waitFor(() => silent.every((socket) => !socket.connecting), { what: 'all sockets to connect' });
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents });
    await linked(server, tentacle);
    await waitFor(() => open <= 0, { what: 'all silent sockets to be closed' });
    await ping(server.mesh, { node: 't1', deadlineMs: 2_000 });
  });

  it('warns of a connection that sends what is not TLS, and not of one that only looks whether the port is open', async () => {
    const authority = await createTestMesh();
    const { log, lines } = heardLog();
    const node = await authority.node('server-1', 'server');
    const config = { listen: '127.0.0.1:0', parents: [], dials: [] };
    const mesh = await createMesh(config, { ...node, log, relaying: true, services: MESH_SERVICES });
    onTestFinished(() => mesh.stop());
    const { host, port } = requireHostPort(mesh.address!);
    await checkTcp({ host, port, hop: `${host}:${port}` }, {});
    const looked = { level: 'debug', msg: 'connection closed before its first byte' };
    await waitFor(() => lines.some(({ msg }) => msg === looked.msg), { what: 'the look to be over' });
    expect(lines).toEqual([expect.objectContaining(looked)]);
    const stranger = net.connect(port, host);
    stranger.on('error', () => undefined);
    stranger.end('GET / HTTP/1.1\r\n\r\n');
    await waitFor(() => lines.length === 2, { what: 'the denial' });
    expect(lines[1]).toMatchObject({ level: 'warn', msg: 'connection denied' });
  });

  it('tells a peer whose certificate it does not accept why, and lets it do nothing', async () => {
    const [authority, stranger] = [await createTestMesh('ours'), await createTestMesh('theirs')];
    const server = await startNode(authority, 'server-1', 'server');
    const foreign = await stranger.node('t1', 'tentacle');
    const expired = await authority.node('t2', 'tentacle', { nowMs: Date.now() - 20 * 86_400_000 });
    const revoked = await authority.node('t3', 'tentacle');
    server.revocations.merge(authority.revoke(1, [{ node: 't3', revokedAtMs: Date.now() + 1_000 }]));
    const cases = [
      [foreign, 'PEER_CERTIFICATE_UNTRUSTED'],
      [expired, 'PEER_CERTIFICATE_EXPIRED'],
      [revoked, 'PEER_CERTIFICATE_REVOKED'],
    ] as const;
    for (const [{ identity }, code] of cases) {
      const fake = await fakeLink(server.mesh.address!, identity);
      const tunnel = fake.rpc.tunnel();
      const tunnelEnd = new Promise<unknown>((resolve) => tunnel.on('error', resolve));
      tunnel.write({ answerTunnelId: Buffer.alloc(16) });
      expect((await fake.ended)?.code).toBe(code);
      expect(await tunnelEnd).toBeInstanceOf(Error);
      expect(server.mesh.links()).toEqual([]);
    }
  });
});
