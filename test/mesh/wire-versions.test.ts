// Nodes of this wire version and of the one before, linked with each other: fakes that speak version 1 only.
import { describe, expect, it } from 'vitest';
import { ping } from '../../mesh/echo.ts';
import type { AttachFrame__Output } from '../../proto/gen/isthmus/mesh/v1/AttachFrame.ts';
import { controlStream, fakeParent, serveEchoOver } from '../support/fake-parent.ts';
import { fakeLink } from '../support/fake-link.ts';
import { createTestMesh } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const quick = { heartbeatIntervalMs: 100, linkTimeoutMs: 5_000 };

/** Waits for so many more beats of the other side: what it had to say before them has arrived. */
async function beats(frames: readonly AttachFrame__Output[], count: number): Promise<void> {
  const heard = () => frames.filter((frame) => frame.ping).length;
  const before = heard();
  await waitFor(() => heard() >= before + count, { what: 'beats' });
}

const versionOne = { oldestWireVersion: 1, newestWireVersion: 0 };

describe('a neighbour of version 1', () => {
  it('is linked when it dials, carries tunnels, and is shown no certificate', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server', {}, quick);
    const child = await authority.node('t1', 'tentacle');
    const link = await fakeLink(server.mesh.address!, child.identity, versionOne);
    link.attach.on('data', ({ open }: { open?: { tunnelId: Buffer } | null }) => {
      if (!open) return;
      const call = link.rpc.tunnel();
      call.on('error', () => undefined);
      call.write({ answerTunnelId: open.tunnelId });
      call.write({ opened: {} });
      serveEchoOver(controlStream({ side: 'client', stream: call }), child);
    });
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    // What a node of version 1 looks at.
    await waitFor(() => link.frames[0]?.hello?.oldestWireVersion === 1, { what: 'the hello' });
    const next = await authority.identity('server-1', 'server');
    await server.identity.replace(next.certificatePem, next.keyPem);
    const { facts } = await ping(server.mesh, { node: 't1', deadlineMs: 5_000 });
    expect(facts.node).toBe('t1');
    await beats(link.frames, 3);
    expect(link.frames.some((frame) => frame.credential)).toBe(false);
  });

  it('is linked when it is dialled, carries tunnels, and is shown no certificate', async () => {
    const authority = await createTestMesh();
    const parent = await authority.node('server-1', 'server');
    const fake = await fakeParent(parent, versionOne);
    const parents = [{ node: 'server-1', address: fake.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, quick);
    await waitFor(() => tentacle.mesh.links()[0]?.up, { what: 'the link' });
    expect(fake.frames[0]?.hello?.oldestWireVersion).toBe(1);
    const next = await authority.identity('t1', 'tentacle');
    await tentacle.identity.replace(next.certificatePem, next.keyPem);
    const { facts } = await ping(tentacle.mesh, { node: 'server', deadlineMs: 5_000 });
    expect(facts.node).toBe('server-1');
    await beats(fake.frames, 3);
    expect(fake.frames.some((frame) => frame.credential)).toBe(false);
  });

  it('that is all too old, or all too new, hears the versions of both, whoever dials', async () => {
    const authority = await createTestMesh();
    const parent = await authority.node('server-1', 'server');
    const fake = await fakeParent(parent, { oldestWireVersion: 6, newestWireVersion: 7 });
    const parents = [{ node: 'server-1', address: fake.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents });
    await waitFor(() => tentacle.mesh.links()[0]?.lastErrorCode === 'WIRE_VERSION', { what: 'the denial' });
  });
});
