// Tunnels that a neighbour on a live link may not request, and links that it may not have: each is denied with its
// code, and reported as a denial.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { NodeRole } from '../../contract/nodes.ts';
import { MAX_HOPS } from '../../mesh/limits.ts';
import { encodeRequest, newTunnelId, type TunnelRequest } from '../../mesh/tunnel/request.ts';
import type { TunnelFrame__Output } from '../../proto/gen/isthmus/mesh/v1/TunnelFrame.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { fakeParent } from '../support/fake-parent.ts';
import { fakeLink, type FakeLink } from '../support/fake-link.ts';
import { createTestMesh } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

const plain: TunnelRequest = {
  ...{ source: 'x9', destination: 'server', path: [], crossed: [], service: 'echo' },
  serviceClass: 'control',
  deadlineMs: 10_000,
};

/** Requests a tunnel over a link; returns the code of the denial, or `opened`. */
function ask({ rpc }: FakeLink, request: Partial<TunnelRequest>): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = rpc.tunnel();
    call.on('error', reject).on('data', ({ opened }: TunnelFrame__Output) => {
      resolve(opened?.error?.code ?? 'opened');
      call.cancel();
    });
    call.write({ open: encodeRequest(newTunnelId(), { ...plain, ...request }) });
  });
}

const elsewhere = Array.from({ length: MAX_HOPS }, (_, i) => `relay-${i}`);

describe('a neighbour on a live link', () => {
  it.each<[string, NodeRole, Partial<TunnelRequest>, string]>([
    ['a tentacle in the name of another', 'tentacle', { source: 'web-1' }, 'SOURCE_FORGED'],
    ['a mirror in the name of the server', 'mirror', { source: 'server-1' }, 'SOURCE_FORGED'],
    ['a mirror in the name of another', 'mirror', { source: 'mirror-1' }, 'SOURCE_FORGED'],
    ['a tentacle towards a machine', 'tentacle', { destination: 'web-1', service: 'tentacle' }, 'DIRECTION'],
    ['a tentacle for scripts, of the server', 'tentacle', { service: 'tentacle' }, 'DIRECTION'],
    ['a relay down again, to where scripts run', 'relay', { destination: 'web-1', service: 'tentacle' }, 'DIRECTION'],
    ['a relay down again, to other software', 'relay', { destination: 'web-1', service: 'upgrade' }, 'DIRECTION'],
    ['a relay in a circle', 'relay', { source: 'web-1', crossed: ['server-1'] }, 'ROUTE_LOOP'],
    ['a relay in the name of the server', 'relay', { source: 'server-1' }, 'ROUTE_LOOP'],
    ['a relay for one that has come too far', 'relay', { destination: 'eu', crossed: elsewhere }, 'HOP_LIMIT'],
  ])('that is %s: denied, and one audit event', async (_, role, request, code) => {
    const plane = await startControlPlane();
    const { identity } = await plane.authority.node('x9', role);
    const link = await fakeLink(plane.address, identity);
    await waitFor(() => plane.mesh.links().some(({ up }) => up), { what: 'the link' });
    expect([await ask(link, request), await ask(link, request)]).toEqual([code, code]);
    expect(await denials(plane)).toEqual([['x9', code, request.service ?? 'echo']]);
    // The link still carries what it may.
    expect(await ask(link, role === 'relay' ? { source: 'web-1' } : {})).toBe('opened');
  });

  it('has nothing carried by a node that is no relay', async () => {
    const authority = await createTestMesh();
    const parent = await fakeParent(await authority.node('relay-1', 'relay'));
    const parents = [{ node: 'relay-1', address: parent.address }];
    const { mesh } = await startNode(authority, 't1', 'tentacle', { parents });
    await waitFor(() => parent.session() !== undefined, { what: 'the link' });
    const open = encodeRequest(newTunnelId(), { ...plain, source: 'server-1', destination: 'web-2' });
    parent.session()!.attach.write({ open });
    await waitFor(() => mesh.denials.latest().length > 0, { what: 'the denial' });
    expect(mesh.denials.latest()).toMatchObject([{ code: 'NOT_A_RELAY', by: 'relay-1', what: 'echo' }]);
  });

  it('is not heard any more once it has said goodbye', async () => {
    const authority = await createTestMesh();
    const parent = await fakeParent(await authority.node('relay-1', 'relay'));
    const parents = [{ node: 'relay-1', address: parent.address }];
    const { mesh } = await startNode(authority, 't1', 'tentacle', { parents });
    await waitFor(() => mesh.links()[0]?.up, { what: 'the link' });
    const { attach } = parent.session()!;
    attach.write({ goodbye: { code: 'CANCELLED', detail: 'it goes away' } });
    attach.write({ open: encodeRequest(newTunnelId(), { ...plain, source: 'server-1', destination: 'web-2' }) });
    await waitFor(() => parent.session()?.attach !== attach, { what: 'the next link' });
    expect(mesh.denials.latest()).toEqual([]);
  });

  it.each(['control', 'bulk'] as const)(
    'that goes away while it asks for a tunnel does no harm to a relay: %s',
    async (serviceClass) => {
      const unhandled: unknown[] = [];
      const note = (thrown: unknown): void => void unhandled.push(thrown);
      process.on('unhandledRejection', note);
      onTestFinished(() => void process.off('unhandledRejection', note));
      const authority = await createTestMesh();
      const parent = await fakeParent(await authority.node('server-1', 'server'));
      const parents = [{ node: 'server-1', address: parent.address }];
      const { mesh } = await startNode(authority, 'eu', 'relay', { parents });
      const { identity } = await authority.node('t1', 'tentacle');
      const child = await fakeLink(mesh.address!, identity);
      const asked = () => child.frames.filter(({ open }) => open).length;
      for (let time = 1; time <= 5; time += 1) {
        await waitFor(() => mesh.links().filter(({ up }) => up).length === 2, { what: 'the links' });
        const session = parent.session()!;
        const request = { ...plain, source: 'server-1', destination: 't1', serviceClass };
        // The connection for a bulk answer is still being set up when its link ends.
        parent.stalls = true;
        session.attach.write({ open: encodeRequest(newTunnelId(), request) });
        // The child never answers: the request is pending at the relay when its requester leaves.
        await waitFor(() => asked() === time, { what: 'the request' });
        session.tls.destroy();
        parent.stalls = false;
        await waitFor(() => parent.session() !== session, { what: 'the next link' });
      }
      expect(unhandled).toEqual([]);
    },
  );

  it.each<[NodeRole]>([['tentacle'], ['mirror'], ['relay']])(
    'that is a %s is not the parent of a server',
    async (role) => {
      const plane = await startControlPlane();
      const { identity } = await plane.authority.node('x9', role);
      const link = await fakeLink(plane.address, identity, { relation: 'PARENT' });
      expect((await link.ended)?.code).toBe('LINK_DENIED');
      expect(plane.mesh.links()).toEqual([]);
      expect(await denials(plane)).toEqual([['x9', 'LINK_DENIED', 'link']]);
    },
  );
});

/** The denials, once there is one: whom, with which code, what. */
async function denials(plane: ControlPlane): Promise<unknown[]> {
  const events = await waitFor(async () => {
    const found = await plane.denials('peer.denied');
    return found.length > 0 && found;
  });
  return events.map(({ subject, data }) => [subject, data.code, data.what]);
}
