// What the two endpoints of a tunnel enforce: roles, services, revocation, and unchanged bytes.
import { createHash, randomBytes } from 'node:crypto';
import { Transform, type Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { splice } from '../../mesh/tunnel/splice.ts';
import { startChain, startNode, linked } from '../support/mesh.ts';
import { createTestMesh } from '../support/identities.ts';
import { waitFor } from '../support/wait.ts';

interface Spliced {
  splice: typeof splice;
}

/** What the relays of this file do to the bytes they carry: `at` counts bytes of one tunnel, one direction. */
const tamper: { at: number | undefined } = { at: undefined };

vi.mock('../../mesh/tunnel/splice.ts', async (original) => {
  const real = await original<Spliced>();
  return {
    splice(left: Duplex, right: Duplex, onClosed: () => void) {
      if (tamper.at === undefined) {
        real.splice(left, right, onClosed);
        return;
      }
      let seen = 0;
      const flip = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          const offset = tamper.at! - seen;
          seen += chunk.length;
          if (offset >= 0 && offset < chunk.length) chunk[offset]! ^= 0x10;
          done(null, chunk);
        },
      });
      left.on('error', () => undefined).on('close', () => right.destroy());
      right.on('error', () => undefined).on('close', () => left.destroy());
      left.pipe(flip).pipe(right);
      right.pipe(left);
      left.once('close', onClosed);
    },
  };
});

afterEach(() => {
  tamper.at = undefined;
});

describe('a service', () => {
  it('is opened by the roles of its access only, and its handler does not run for others', async () => {
    const { relays, tentacle, server, path } = await startChain(1, 'up');
    let served = 0;
    tentacle.mesh.listen('tentacle', (stream) => {
      served += 1;
      stream.on('error', () => undefined);
      stream.resume();
    });
    const [relay] = relays;
    const asked = relay!.mesh.dial({ node: 'tentacle-1', service: 'tentacle', class: 'control', deadlineMs: 5_000 });
    await expect(asked).rejects.toMatchObject({ code: 'ROLE_FORBIDDEN', hop: 'tentacle-1' });
    expect(served).toBe(0);
    const stream = await server.mesh.dial({
      node: 'tentacle-1',
      path,
      service: 'tentacle',
      class: 'control',
      deadlineMs: 5_000,
    });
    await waitFor(() => served === 1, { what: 'the handler' });
    stream.destroy();
  });

  it('that a node does not have is rejected by that node', async () => {
    const { server, path } = await startChain(2, 'down');
    const asked = server.mesh.dial({ node: 'tentacle-1', path, service: 'nothing', class: 'bulk', deadlineMs: 5_000 });
    await expect(asked).rejects.toMatchObject({ code: 'SERVICE_UNKNOWN', hop: 'tentacle-1' });
  });

  it.each(['closed', 'unlisted'])('that the table lets nobody open cannot be registered: %s', async (service) => {
    const authority = await createTestMesh();
    const node = await startNode(authority, 'server-1', 'server');
    expect(() => node.mesh.listen(service, () => undefined)).toThrow(/nobody may open the service/);
  });
});

describe('a node that cannot be reached', () => {
  it('is told with the hop that could not go on', async () => {
    const { server, tentacle, path } = await startChain(2, 'up');
    await tentacle.mesh.stop();
    const asked = () =>
      server.mesh.dial({ node: 'tentacle-1', path, service: 'echo', class: 'control', deadlineMs: 5_000 });
    await waitFor(
      () =>
        asked().then(
          () => false,
          () => true,
        ),
      { what: 'the loss to be known' },
    );
    await expect(asked()).rejects.toMatchObject({ code: 'UNREACHABLE', hop: 'relay-2' });
    const elsewhere = server.mesh.dial({
      node: 'tentacle-1',
      path: ['relay-1', 'relay-9'],
      service: 'echo',
      class: 'bulk',
      deadlineMs: 5_000,
    });
    await expect(elsewhere).rejects.toMatchObject({ code: 'UNREACHABLE', hop: 'relay-1' });
  });

  it('does not hold its caller beyond the deadline or the reachability timeout', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const relay = await startNode(authority, 'relay-1', 'relay', { parents }, { bulkPerLink: 0 });
    await linked(server, relay);
    const held = server.mesh.dial({ node: 'server', service: 'echo', class: 'control', deadlineMs: 1_000 });
    (await held).destroy();
    const full = relay.mesh.dial({ node: 'server', service: 'echo', class: 'bulk', deadlineMs: 150 });
    await expect(full).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    const signal = AbortSignal.timeout(50);
    const left = relay.mesh.dial({ node: 'server', service: 'echo', class: 'bulk', deadlineMs: 5_000, signal });
    await expect(left).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('a tunnel that the far end closes after its last byte', () => {
  for (const serviceClass of ['control', 'bulk'] as const) {
    for (const relayCount of [0, 2]) {
      it(`gives a slow reader all of it: ${serviceClass}, ${relayCount} relays`, async () => {
        // Little enough to be in flight as a whole before the reader begins.
        const body = randomBytes(50_000);
        const { tentacle, server, path } = await startChain(relayCount, 'up');
        let closed = false;
        tentacle.mesh.listen('tentacle', (stream) => {
          stream.on('error', () => undefined);
          stream.once('close', () => (closed = true));
          stream.end(body, () => stream.destroySoon());
        });
        const dialled = { node: 'tentacle-1', service: 'tentacle', class: serviceClass, deadlineMs: 5_000, path };
        const stream = await server.mesh.dial(dialled);
        await waitFor(() => closed, { what: 'the far end to close' });
        const hash = createHash('sha256');
        for await (const chunk of stream) {
          hash.update(chunk as Buffer);
          await nextTurn();
        }
        expect(hash.digest('hex')).toBe(createHash('sha256').update(body).digest('hex'));
        await waitFor(() => stream.destroyed, { what: 'the stream to close' });
      });
    }
  }
});

describe('a relay that changes bytes', () => {
  it.each([3, 60, 700, 5_000])('at offset %i, breaks the end-to-end session and nothing else', async (at) => {
    const { server, relays, path } = await startChain(1, 'up');
    tamper.at = at;
    const received: Buffer[] = [];
    const opened = server.mesh
      .dial({ node: 'tentacle-1', path, service: 'echo', class: 'control', deadlineMs: 3_000 })
      .then(async (stream) => {
        stream.on('error', () => undefined);
        stream.on('data', (chunk: Buffer) => received.push(chunk));
        stream.write(Buffer.alloc(64 * 1024, 'x'));
        await new Promise<void>((resolve) => stream.once('close', () => resolve()));
      });
    await opened.catch(() => undefined);
    // What came before the flip is whole; nothing after it came.
    const body = Buffer.concat(received).toString('latin1');
    expect(body.slice(body.indexOf('\n') + 1)).toMatch(/^x*$/);
    expect(body.length).toBeLessThan(64 * 1024);
    tamper.at = undefined;
    const again = await server.mesh.dial({
      node: 'tentacle-1',
      path,
      service: 'echo',
      class: 'control',
      deadlineMs: 3_000,
    });
    expect(again.peer.node).toBe('tentacle-1');
    again.destroy();
    await waitFor(() => relays[0]!.mesh.links().every((link) => link.tunnels === 0), { what: 'no tunnel to be left' });
  });
});

describe('revocation', () => {
  it('reaches every node and closes live tunnels and links within 5 s', async () => {
    const { authority, server, relays, tentacle, path } = await startChain(2, 'up');
    const target = { node: 'tentacle-1', path, service: 'echo', deadlineMs: 5_000 } as const;
    const streams = [
      await server.mesh.dial({ ...target, class: 'control' }),
      await server.mesh.dial({ ...target, class: 'bulk' }),
    ];
    const began = Date.now();
    server.revocations.merge(authority.revoke(1, [{ node: 'tentacle-1', revokedAtMs: Date.now() + 1_000 }]));
    await waitFor(() => streams.every((stream) => stream.destroyed), { what: 'the tunnels to close' });
    await waitFor(() => relays.every((relay) => relay.revocations.version === 1), { what: 'the list to arrive' });
    await waitFor(() => tentacle.mesh.links().every((link) => !link.up), { what: 'the link to go' });
    expect(Date.now() - began).toBeLessThan(5_000);
    const [, last] = relays;
    expect(last!.mesh.links().find((link) => link.peer === 'tentacle-1')?.up).toBe(false);
    await expect(server.mesh.dial({ ...target, class: 'control' })).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('that a node missed reaches it before its link counts as up', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    server.revocations.merge(authority.revoke(4, [{ node: 'gone', revokedAtMs: Date.now() }]));
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const relay = await startNode(authority, 'relay-1', 'relay', { parents });
    await linked(server, relay);
    expect(relay.revocations.version).toBe(4);
    const below = await startNode(authority, 't1', 'tentacle');
    below.revocations.merge(authority.revoke(5, []));
    relay.mesh.assignDials([{ node: 't1', address: below.mesh.address! }]);
    const named = await startNode(authority, 't2', 'tentacle', {
      parents: [{ node: 'relay-1', address: relay.mesh.address! }],
    });
    await linked(relay, named);
    expect(named.revocations.version).toBeGreaterThanOrEqual(4);
  });
});
