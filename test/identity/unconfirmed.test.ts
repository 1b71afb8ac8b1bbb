// The certificate that enrolment issues before the confirmation is valid for the confirmation and nothing else.
import { duplexPair } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PROVISIONAL_LIFETIME_MS } from '../../certs/authority.ts';
import { Denials } from '../../mesh/denials.ts';
import { acceptSession, openSession } from '../../mesh/e2e/session.ts';
import type { Trust } from '../../mesh/trust.ts';
import { fakeLink } from '../support/fake-link.ts';
import { createTestMesh, type TestNode } from '../support/identities.ts';
import { startNode } from '../support/mesh.ts';
import { TEST_SERVICES } from '../support/services.ts';
import { waitFor } from '../support/wait.ts';

const provisional = { provisional: true } as const;

const trustOf = ({ identity, revocations }: TestNode): Trust => ({
  ...{ identity, revocations },
  denials: new Denials(),
});

describe('a node that has enrolled and not confirmed', () => {
  it('says so in its certificate, which lasts ten minutes', async () => {
    const authority = await createTestMesh();
    const peer = (await authority.node('t1', 'tentacle', provisional)).identity.peer();
    expect(peer).toMatchObject({ node: 't1', role: 'tentacle', provisional: true });
    expect(peer.notAfterMs - Date.now()).toBeLessThanOrEqual(PROVISIONAL_LIFETIME_MS);
    expect((await authority.node('t1', 'tentacle')).identity.peer().provisional).toBeUndefined();
  });

  it('is linked, checks its path and opens identity on the server, and is denied other services by its neighbour', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const joining = await authority.node('t1', 'tentacle', provisional);
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, {}, joining);
    await waitFor(() => tentacle.mesh.links()[0]?.up, { what: 'the link' });
    for (const service of ['identity', 'topology']) {
      server.mesh.listen(service, (stream) => stream.on('error', () => undefined).resume());
    }
    const open = (service: string) =>
      tentacle.mesh.dial({ node: 'server', service, class: 'control', deadlineMs: 5_000 });
    for (const service of ['echo', 'identity']) (await open(service)).destroy();
    await expect(open('topology')).rejects.toMatchObject({ code: 'JOIN_UNCONFIRMED' });
    const down = server.mesh.dial({ node: 't1', service: 'echo', class: 'control', deadlineMs: 5_000 });
    await expect(down).rejects.toMatchObject({ code: 'JOIN_UNCONFIRMED' });
    // Nobody may rely on it: the link goes when the join ends, and the node does not run yet.
    expect(server.mesh.links()).toMatchObject([{ peer: 't1', up: false }]);
  });

  it.each([
    { service: 'identity', outcome: 'let in' },
    { service: 'topology', outcome: 'JOIN_UNCONFIRMED' },
  ])('is, whatever the relays between forward, $outcome at the end of $service', async ({ service, outcome }) => {
    const authority = await createTestMesh();
    const [server, joining] = [
      await authority.node('server-1', 'server'),
      await authority.node('t1', 'tentacle', provisional),
    ];
    const [near, far] = duplexPair();
    onTestFinished(() => void near.destroy());
    const answered = acceptSession(far, trustOf(server), { ...TEST_SERVICES[service]!, name: service, by: 'eu' }).then(
      () => 'let in',
      (thrown: { code: string }) => thrown.code,
    );
    const called = openSession(near, trustOf(joining), { node: 'server', service, by: 'eu' }).then(
      () => 'let in',
      (thrown: { code: string }) => thrown.code,
    );
    expect(await Promise.all([answered, called])).toEqual([outcome, outcome]);
  });

  it('answers nobody', async () => {
    const authority = await createTestMesh();
    const server = await authority.node('server-1', 'server');
    const joining = await authority.node('t1', 'tentacle', provisional);
    const [near, far] = duplexPair();
    onTestFinished(() => void near.destroy());
    acceptSession(far, trustOf(joining), { name: 'tentacle', openedBy: ['server'], by: 'eu' }).catch(() => undefined);
    const called = openSession(near, trustOf(server), { node: 't1', service: 'tentacle', by: 'eu' });
    await expect(called).rejects.toMatchObject({ code: 'JOIN_UNCONFIRMED' });
  });

  it('is nobody’s parent', async () => {
    const authority = await createTestMesh();
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents: [{ node: 'eu' }] });
    const joining = await authority.node('eu', 'relay', provisional);
    const fake = await fakeLink(tentacle.mesh.address!, joining.identity, { relation: 'PARENT' });
    expect((await fake.ended)?.code).toBe('LINK_DENIED');
  });

  it('does not replace the node of its name that has confirmed', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const joined = await fakeLink(server.mesh.address!, (await authority.node('t1', 'tentacle')).identity);
    await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
    const shadow = await authority.node('t1', 'tentacle', provisional);
    const late = await fakeLink(server.mesh.address!, shadow.identity, { sessionEpoch: Date.now() });
    expect((await late.ended)?.code).toBe('JOIN_UNCONFIRMED');
    expect(joined.frames.some((frame) => frame.goodbye)).toBe(false);
    expect(server.mesh.links()[0]?.up).toBe(true);
  });

  it('is replaced by that one, whatever epoch it claims', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const joining = await authority.node('t1', 'tentacle', provisional);
    const first = await fakeLink(server.mesh.address!, joining.identity, { sessionEpoch: 2 ** 50 });
    await waitFor(() => server.mesh.links()[0]?.upSinceMs, { what: 'the link' });
    await fakeLink(server.mesh.address!, (await authority.node('t1', 'tentacle')).identity, { sessionEpoch: 1 });
    await first.ended;
    expect(first.frames.at(-1)?.goodbye?.code).toBe('SESSION_REPLACED');
  });
});
