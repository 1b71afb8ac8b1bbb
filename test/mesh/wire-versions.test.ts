// The negotiation of the wire version on a link, with peers of other versions played by hand.
import { describe, expect, it } from 'vitest';
import { ping } from '../../mesh/echo.ts';
import { WIRE_VERSIONS } from '../../mesh/wire-version.ts';
import { controlStream, fakeParent, serveEchoOver } from '../support/fake-parent.ts';
import { fakeLink } from '../support/fake-link.ts';
import { createTestMesh } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const { oldest, newest } = WIRE_VERSIONS;
/** Peers that speak one of this node's versions beside others. */
const common = [
  { peer: 'an older peer', oldestWireVersion: oldest - 1, newestWireVersion: newest },
  { peer: 'a newer peer', oldestWireVersion: newest, newestWireVersion: newest + 8 },
];
/** Peers that speak none of them. */
const foreign = [
  { peer: 'a former peer', oldestWireVersion: oldest - 1, newestWireVersion: oldest - 1 },
  { peer: 'a future peer', oldestWireVersion: newest + 1, newestWireVersion: newest + 8 },
  { peer: 'a peer that names no newest version', oldestWireVersion: newest, newestWireVersion: 0 },
];

describe('a peer with a common wire version', () => {
  it.each(common)('is linked when it dials, and carries tunnels: $peer', async ({ peer: _, ...versions }) => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const child = await authority.node('t1', 'tentacle');
    const link = await fakeLink(server.mesh.address!, child.identity, versions);
    link.attach.on('data', ({ open }: { open?: { tunnelId: Buffer } | null }) => {
      if (!open) return;
      const call = link.rpc.tunnel();
      call.on('error', () => undefined);
      call.write({ answerTunnelId: open.tunnelId });
      call.write({ opened: {} });
      serveEchoOver(controlStream({ side: 'client', stream: call }), child);
    });
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    await waitFor(() => link.frames[0]?.hello, { what: 'the hello' });
    expect(link.frames[0]?.hello).toMatchObject({ oldestWireVersion: oldest, newestWireVersion: newest });
    const { facts } = await ping(server.mesh, { node: 't1', deadlineMs: 5_000 });
    expect(facts.node).toBe('t1');
  });

  it.each(common)('is linked when it is dialled, and carries tunnels: $peer', async ({ peer: _, ...versions }) => {
    const authority = await createTestMesh();
    const fake = await fakeParent(await authority.node('server-1', 'server'), versions);
    const parents = [{ node: 'server-1', address: fake.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents });
    await waitFor(() => tentacle.mesh.links()[0]?.up, { what: 'the link' });
    expect(fake.frames[0]?.hello).toMatchObject({ oldestWireVersion: oldest, newestWireVersion: newest });
    const { facts } = await ping(tentacle.mesh, { node: 'server', deadlineMs: 5_000 });
    expect(facts.node).toBe('server-1');
  });
});

describe('a peer without a common wire version', () => {
  it.each(foreign)('is denied with both ranges when it dials: $peer', async ({ peer: _, ...versions }) => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const child = await authority.node('t1', 'tentacle');
    const error = await (await fakeLink(server.mesh.address!, child.identity, versions)).ended;
    const theirs = `${versions.oldestWireVersion} to ${versions.newestWireVersion}`;
    expect(error).toMatchObject({ code: 'WIRE_VERSION' });
    expect(error?.message).toContain(`t1 speaks wire versions ${theirs}, this node ${oldest} to ${newest}`);
    expect(server.mesh.links()).toEqual([]);
  });

  it.each(foreign)('is not linked when it is dialled: $peer', async ({ peer: _, ...versions }) => {
    const authority = await createTestMesh();
    const fake = await fakeParent(await authority.node('server-1', 'server'), versions);
    const parents = [{ node: 'server-1', address: fake.address }];
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents });
    await waitFor(() => tentacle.mesh.links()[0]?.lastErrorCode === 'WIRE_VERSION', { what: 'the denial' });
  });
});
