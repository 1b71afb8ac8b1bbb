// A certificate renewed while an end-to-end session is open: who may continue the session, and that nobody else does.
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { proveCredential, sessionName, type Credential } from '../../certs/credential.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import { framed, readFrame } from '../../mesh/tunnel/frame.ts';
import type { MeshStream } from '../../mesh/types.ts';
import { sessionCredentialAnswerCodec, sessionCredentialCodec } from '../../mesh/wire.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

interface Opened {
  readonly authority: TestMesh;
  readonly server: StartedNode;
  readonly tentacle: StartedNode;
  /** The session at the tentacle, which opened it, and at the server. */
  readonly session: MeshStream;
  readonly atServer: MeshStream;
}

const control = { class: 'control', deadlineMs: 10_000 } as const;

/** A tentacle's session with a service of the server. */
async function opened(): Promise<Opened> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const answered: MeshStream[] = [];
  server.mesh.listen('feed', (stream) => {
    stream.on('error', () => undefined).resume();
    answered.push(stream);
  });
  const tentacle = await below(server, authority, 't1');
  const session = await tentacle.mesh.dial({ node: 'server', service: 'feed', ...control });
  const atServer = await waitFor(() => answered[0], { what: 'the session' });
  return { authority, server, tentacle, session, atServer };
}

async function below(server: StartedNode, authority: TestMesh, name: string): Promise<StartedNode> {
  const parents = [{ node: 'server-1', address: server.mesh.address! }];
  const node = await startNode(authority, name, 'tentacle', { parents });
  await linked(server, node);
  return node;
}

/** Shows a credential for a session, as the endpoint that opened it does; returns the code of the denial. */
async function show(from: StartedNode, session: Buffer, credential: Credential): Promise<string> {
  const beside = await from.mesh.dial({ node: 'server', service: 'credential', ...control });
  beside.write(framed(sessionCredentialCodec.encode({ session, credential })));
  const answer = sessionCredentialAnswerCodec.decode(await readFrame(beside));
  beside.destroy();
  return answer.error?.code ?? 'taken';
}

const signedIn = (session: MeshStream, identity: NodeIdentity, sender: 'client' | 'server' = 'client') =>
  proveCredential({ socket: session, sender }, identity);
const dayMs = 86_400_000;

describe('the endpoint that opened an end-to-end session', () => {
  it('carries it on under its next certificate', async () => {
    const { authority, tentacle, session, atServer } = await opened();
    const before = atServer.peer;
    const next = await authority.identity('t1', 'tentacle');
    expect(await show(tentacle, sessionName(session), await signedIn(session, next))).toBe('taken');
    expect(atServer.peer).toMatchObject({ node: 't1', role: 'tentacle' });
    expect(atServer.peer.serialNumber).not.toBe(before.serialNumber);
  });

  it.each<[string, string, (at: Opened) => Promise<Credential>]>([
    [
      'the certificate of another node',
      'PEER_UNEXPECTED',
      async ({ authority, session }) => signedIn(session, await authority.identity('t2', 'tentacle')),
    ],
    [
      'one that has expired',
      'PEER_CERTIFICATE_EXPIRED',
      async ({ authority, session }) =>
        signedIn(session, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - 8 * dayMs })),
    ],
    [
      'one that is older than the last',
      'PROTOCOL',
      async ({ authority, session }) =>
        signedIn(session, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - dayMs })),
    ],
    [
      'one that is revoked',
      'PEER_CERTIFICATE_REVOKED',
      async ({ authority, server, session }) => {
        server.revocations.merge(authority.revoke(1, [{ node: 't1', revokedAtMs: Date.now() - dayMs }]));
        return signedIn(session, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - 2 * dayMs }));
      },
    ],
    [
      'one signed for another session of the same two nodes',
      'CREDENTIAL_UNPROVEN',
      async ({ authority, tentacle }) => {
        const other = await tentacle.mesh.dial({ node: 'server', service: 'feed', ...control });
        return signedIn(other, await authority.identity('t1', 'tentacle'));
      },
    ],
    [
      'one signed for the other side',
      'CREDENTIAL_UNPROVEN',
      async ({ authority, session }) => signedIn(session, await authority.identity('t1', 'tentacle'), 'server'),
    ],
  ])('does not with %s', async (_what, code, make) => {
    const at = await opened();
    const before = at.atServer.peer;
    const credential = await make(at);
    expect(await show(at.tentacle, sessionName(at.session), credential)).toBe(code);
    expect(at.atServer.peer).toEqual(before);
    expect(at.server.mesh.denials.latest().map(({ by, code }) => [by, code])).toContainEqual(['t1', code]);
  });
});

it('a session of somebody else is not known, even to who has a proof for it', async () => {
  const { authority, server, session, atServer } = await opened();
  const before = atServer.peer;
  const other = await below(server, authority, 't2');
  const proof = await signedIn(session, await authority.identity('t1', 'tentacle'));
  expect(await show(other, sessionName(session), proof)).toBe('SESSION_UNKNOWN');
  expect(atServer.peer).toEqual(before);
});

it('a session whose other end cannot be asked ends with the certificate that it has, on a link that goes on', async () => {
  const authority = await createTestMesh();
  // The session uses the only slot for a tunnel.
  const server = await startNode(authority, 'server-1', 'server', {}, { tunnelsPerLink: 1 });
  const node = await authority.node('t1', 'tentacle', { lifetimeMs: 8_000 });
  const parents = [{ node: 'server-1', address: server.mesh.address! }];
  const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, {}, node);
  await linked(server, tentacle);
  const session = await server.mesh.dial({ node: 't1', service: 'echo', ...control });
  session.on('error', () => undefined).resume();
  const { notAfterMs } = session.peer;
  const next = await authority.identity('t1', 'tentacle');
  await node.identity.replace(next.certificatePem, next.keyPem);
  await once(session, 'close');
  expect(Date.now()).toBeGreaterThanOrEqual(notAfterMs);
  expect(server.mesh.links()[0]?.up).toBe(true);
});
