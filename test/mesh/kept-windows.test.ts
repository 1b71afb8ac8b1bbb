// A transfer starts with the window that the last one on its link ended with, also in new processes.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { DEFAULT_LIMITS } from '../../mesh/limits.ts';
import { KeptWindows } from '../../mesh/link/kept-windows.ts';
import type { MeshStream } from '../../mesh/types.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const MIB = 1024 * 1024;
const CHUNK = Buffer.alloc(64 * 1024);

/** Writes as long as the stream takes bytes, up to some number; returns a count of what it took. */
function pour(stream: MeshStream, mostBytes: number): () => number {
  let taken = 0;
  const more = (): void => {
    if (taken >= mostBytes || stream.destroyed) return;
    stream.write(CHUNK, () => {
      taken += CHUNK.length;
      more();
    });
  };
  stream.on('error', () => undefined);
  more();
  return () => taken;
}

it('a node that was restarted sends at once what its last transfer had in flight', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-windows-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const authority = await createTestMesh();
  const [server, relay] = [await authority.node('server-1', 'server'), await authority.node('relay-1', 'relay')];

  /** Both nodes run meanwhile; the relay reads what it is sent, or nothing of it. */
  const running = async (reads: boolean, work: (stream: MeshStream) => Promise<void>): Promise<void> => {
    const windows = KeptWindows.open(folder, silentLogger());
    const upper = await startNode(authority, 'server-1', 'server', {}, {}, { ...server, windows });
    const parents = [{ node: 'server-1', address: upper.mesh.address! }];
    const lower = await startNode(authority, 'relay-1', 'relay', { parents }, {}, relay);
    await linked(upper, lower);
    lower.mesh.listen('flood', (stream) => {
      stream.on('error', () => undefined);
      if (reads) stream.resume();
    });
    const flood = { node: 'relay-1', service: 'flood', path: [], class: 'bulk', deadlineMs: 10_000 } as const;
    await work(await upper.mesh.dial(flood));
    await lower.mesh.stop();
    await upper.mesh.stop();
    windows.close();
  };

  await running(true, async (stream) => {
    const taken = pour(stream, 32 * MIB);
    await waitFor(() => taken() >= 32 * MIB, { limitMs: 20_000, what: 'a transfer' });
  });
  const kept = KeptWindows.open(folder, silentLogger()).of('relay-1')!.bytes;
  expect(kept).toBeGreaterThan(16 * DEFAULT_LIMITS.bulkWindow.startBytes);
  // Without it, a start window and the buffers of the streams are all that goes out to a reader that takes nothing. What
  // the system buffers of a larger window is not known.
  const most = Math.min(kept / 2, MIB);
  await running(false, async (stream) => {
    const taken = pour(stream, kept);
    await waitFor(() => taken() >= most, { limitMs: 10_000, what: 'the window of the last transfer' });
  });
});
