// Teardown of hundreds of tunnels, at any moment, under load, from any side: this is where leaks and hangs occur.
import { describe, expect, it } from 'vitest';
import type { Mesh, MeshStream, ServiceClass } from '../../mesh/types.ts';
import { startChain, type Chain, type Dialling } from '../support/mesh.ts';
import { startChildProcess } from '../support/mesh-process.ts';
import { createTestMesh } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const tunnelsOf = (mesh: Mesh): number => mesh.links().reduce((sum, link) => sum + link.tunnels, 0);

/** Keeps both directions busy, half a MB at most, so that a slow machine tears down too. */
function load(stream: MeshStream): Promise<void> {
  const body = Buffer.alloc(64 * 1024);
  let left = 8;
  const more = (): void => {
    while (left-- > 0 && !stream.destroyed && stream.write(body));
  };
  stream.on('error', () => undefined);
  stream.on('data', () => undefined);
  stream.on('drain', more);
  const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
  more();
  return closed;
}

async function openLoaded(chain: Chain, serviceClass: ServiceClass): Promise<MeshStream> {
  const stream = await chain.server.mesh.dial({
    node: 'tentacle-1',
    path: chain.path,
    service: 'load',
    class: serviceClass,
    deadlineMs: 20_000,
  });
  void load(stream);
  return stream;
}

describe.each(['up', 'down'] as Dialling[])(
  'three hundred tunnels torn down under load, links dialled %s',
  (dialling) => {
    it('leave no tunnel, and no caller that waits', async () => {
      const chain = await startChain(1, dialling);
      const accepted = new Set<MeshStream>();
      chain.tentacle.mesh.listen('load', (stream) => {
        accepted.add(stream);
        void load(stream).then(() => accepted.delete(stream));
      });
      const nodes = [chain.server, ...chain.relays, chain.tentacle];
      for (let round = 0; round < 15; round += 1) {
        const opened = await Promise.all(
          Array.from({ length: 20 }, (_, i) => openLoaded(chain, i % 2 === 0 ? 'control' : 'bulk')),
        );
        for (const [i, stream] of opened.entries()) {
          if (i % 4 < 2) stream.destroy();
          else if (i % 4 === 2) stream.end();
        }
        await waitFor(
          () => {
            for (const stream of accepted) stream.destroy();
            return opened.every((stream) => stream.closed);
          },
          { what: `round ${round}: all streams to close`, limitMs: 20_000 },
        );
        await waitFor(() => nodes.every((node) => tunnelsOf(node.mesh) === 0), {
          what: `round ${round}: no tunnel to be left`,
        });
      }
      expect(accepted.size).toBe(0);
    });
  },
);

describe('tunnels through a relay that is killed', () => {
  it('close at both ends, and so do calls that were being opened', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents: [{ node: 'relay-1' }] });
    const relay = await startChildProcess(await authority.node('relay-1', 'relay'), {
      parents: [{ node: 'server-1' }],
      dials: [{ node: 't1', address: tentacle.mesh.address! }],
    });
    server.mesh.assignDials([{ node: 'relay-1', address: relay.address }]);
    const accepted: Promise<void>[] = [];
    tentacle.mesh.listen('load', (stream) => void accepted.push(load(stream)));
    await waitFor(() => server.mesh.links()[0]?.up && tentacle.mesh.links()[0]?.up, { what: 'the links' });
    const target = { node: 't1', path: ['relay-1'], service: 'load', deadlineMs: 5_000 } as const;
    const streams = await Promise.all([
      ...Array.from({ length: 5 }, () => server.mesh.dial({ ...target, class: 'bulk' })),
      ...Array.from({ length: 5 }, () => server.mesh.dial({ ...target, class: 'control' })),
    ]);
    const closed = streams.map((stream) => load(stream));
    const opening = Array.from({ length: 10 }, (_, i) =>
      server.mesh.dial({ ...target, class: i % 2 === 0 ? 'bulk' : 'control' }).then(
        (stream) => load(stream),
        (error: unknown) => error,
      ),
    );
    const killedAtMs = performance.now();
    await relay.kill();
    await Promise.all([...closed, ...opening, ...accepted]);
    // Long before the link timeout.
    expect(performance.now() - killedAtMs).toBeLessThan(10_000);
    expect(tunnelsOf(server.mesh) + tunnelsOf(tentacle.mesh)).toBe(0);
  });
});

describe('a reader that stalls', () => {
  it('stops its sender, leaves the relay’s memory alone and holds up nobody else', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const relay = await startChildProcess(await authority.node('relay-1', 'relay'), { parents });
    const below = [{ node: 'relay-1', address: relay.address }];
    await startChildProcess(await authority.node('t1', 'tentacle'), { parents: below });
    const target = { node: 't1', path: ['relay-1'], deadlineMs: 5_000 } as const;
    await waitFor(
      () =>
        server.mesh
          .dial({ ...target, service: 'echo', class: 'control' })
          .then((stream) => stream.destroy() !== undefined),
      { what: 'the path to t1' },
    );
    const moving = await server.mesh.dial({ ...target, service: 'flood', class: 'bulk' });
    moving.on('error', () => undefined);
    let bytes = 0;
    let highest = 0;
    moving.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const carry = (total: number): Promise<unknown> =>
      waitFor(
        async () => {
          highest = Math.max(highest, await relay.rssBytes());
          return bytes > total;
        },
        { limitMs: 25_000, what: `the moving tunnel to carry ${total} bytes` },
      );
    // The first measure contains the cost of carrying anything.
    await carry(60e6);
    const before = highest;
    const stalled: MeshStream[] = [];
    for (const serviceClass of ['bulk', 'bulk', 'control', 'control'] as const) {
      const stream = await server.mesh.dial({ ...target, service: 'flood', class: serviceClass });
      stream.on('error', () => undefined);
      stream.pause();
      stalled.push(stream);
    }
    await carry(bytes + 120e6);
    expect((highest - before) / 2 ** 20).toBeLessThan(64);
    for (const stream of [...stalled, moving]) stream.destroy();
  });
});
