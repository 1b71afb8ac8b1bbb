// Tunnels behave the same whoever dials, over any number of relays, in both classes.
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ping, trace } from '../../mesh/echo.ts';
import type { MeshStream } from '../../mesh/types.ts';
import { startChain, type Dialling } from '../support/mesh.ts';

const directions: Dialling[] = ['down', 'up'];
const hopCounts = [0, 1, 2, 3];

/** Sends `bytes` through an echo and returns the digest of what came back. */
async function echoed(stream: MeshStream, body: Buffer): Promise<string> {
  const hash = createHash('sha256');
  let skipped = false;
  let left = body.length;
  const back = new Promise<void>((resolve, reject) => {
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`closed with ${left} bytes to come`)));
    stream.on('data', (chunk: Buffer) => {
      const data = skipped ? chunk : chunk.subarray(chunk.indexOf(10) + 1);
      skipped = true;
      hash.update(data);
      left -= data.length;
      if (left <= 0) resolve();
    });
  });
  stream.write(body);
  await back;
  stream.destroy();
  return hash.digest('hex');
}

describe.each(directions)('links dialled %s', (dialling) => {
  describe.each(hopCounts)('over %i relays', (hops) => {
    it('carries bytes in both directions and both classes, downwards', async () => {
      const { server, path } = await startChain(hops, dialling);
      const body = randomBytes(3_000_000);
      const digest = createHash('sha256').update(body).digest('hex');
      for (const serviceClass of ['control', 'bulk'] as const) {
        const stream = await server.mesh.dial({
          node: 'tentacle-1',
          service: 'echo',
          path,
          class: serviceClass,
          deadlineMs: 10_000,
        });
        expect(stream.peer.node).toBe('tentacle-1');
        expect(await echoed(stream, body)).toBe(digest);
      }
    });

    it('carries bytes in both directions and both classes, up to the server', async () => {
      const { tentacle } = await startChain(hops, dialling);
      const body = randomBytes(3_000_000);
      const digest = createHash('sha256').update(body).digest('hex');
      for (const serviceClass of ['control', 'bulk'] as const) {
        const stream = await tentacle.mesh.dial({
          node: 'server',
          service: 'echo',
          class: serviceClass,
          deadlineMs: 10_000,
        });
        expect(stream.peer.role).toBe('server');
        expect(await echoed(stream, body)).toBe(digest);
      }
    });
  });

  it('traces every hop by name', async () => {
    const { server, path } = await startChain(2, dialling);
    const hops = await trace(server.mesh, { node: 'tentacle-1', path, deadlineMs: 5_000 });
    expect(hops.map((hop) => [hop.node, hop.error, hop.softwareVersion])).toEqual([
      ['relay-1', undefined, 'test'],
      ['relay-2', undefined, 'test'],
      ['tentacle-1', undefined, 'test'],
    ]);
    const { roundTripsMs } = await ping(server.mesh, { node: 'tentacle-1', path, deadlineMs: 5_000 }, 5);
    expect(roundTripsMs).toHaveLength(5);
  });
});
