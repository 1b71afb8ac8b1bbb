// A certificate renewed while a link is up: the link continues under it, and under no other.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { buildCertificate } from '../../certs/certificate.ts';
import { BACKDATE_MS } from '../../certs/keys.ts';
import { proveCredential, type Credential, type TlsSide } from '../../certs/credential.ts';
import type { IdentityStore, NodeIdentity } from '../../certs/identity.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import type { DialOptions, MeshStream } from '../../mesh/types.ts';
import { fakeParent } from '../support/fake-parent.ts';
import { fakeLink, type FakeLink } from '../support/fake-link.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { waitFor } from '../support/wait.ts';

/** Long enough to link nodes on a busy machine, short enough to await its end. */
const shortMs = 20_000;

/** Gives a node a new key and certificate, as a renewal does. */
async function renew(authority: TestMesh, { identity }: { identity: IdentityStore }): Promise<NodeIdentity> {
  const { node, role } = identity.current();
  const next = await authority.identity(node, role);
  await identity.replace(next.certificatePem, next.keyPem);
  return next;
}

/** An echo stream whose first line, about the node, has been read. */
async function openEcho(from: StartedNode, to: Pick<DialOptions, 'node' | 'path' | 'class'>): Promise<MeshStream> {
  const stream = await from.mesh.dial({ ...to, service: 'echo', deadlineMs: 10_000 });
  stream.on('error', () => undefined);
  await once(stream, 'data');
  return stream;
}

/** Whether bytes sent now still come back. */
async function echoes(stream: MeshStream): Promise<boolean> {
  if (stream.destroyed) return false;
  const back = once(stream, 'data', { signal: AbortSignal.timeout(5_000) });
  stream.write('x');
  return back.then(
    () => true,
    () => false,
  );
}

describe.each(['up', 'down'] as const)('links dialled %s', (dialling) => {
  it('outlive the certificates they came up with, and so does what they carry', async () => {
    const authority = await createTestMesh();
    const start = async (name: string, role: NodeRole, above?: StartedNode): Promise<StartedNode> => {
      const address = above !== undefined && dialling === 'up' ? { address: above.mesh.address! } : {};
      const parents = above === undefined ? [] : [{ node: above.name, ...address }];
      const node = await authority.node(name, role, { lifetimeMs: shortMs });
      return startNode(authority, name, role, { parents }, {}, node);
    };
    const server = await start('server-1', 'server');
    const upper = await start('eu', 'relay', server);
    const lower = await start('pci', 'relay', upper);
    const tentacle = await start('tentacle-1', 'tentacle', lower);
    const nodes = [server, upper, lower, tentacle];
    const pairs = [
      [server, upper],
      [upper, lower],
      [lower, tentacle],
    ] as const;
    for (const [parent, child] of pairs) {
      if (dialling === 'down') parent.mesh.assignDials([{ node: child.name, address: child.mesh.address! }]);
      await linked(parent, child);
    }
    const path = ['eu', 'pci'];
    const streams = [
      await openEcho(server, { node: 'tentacle-1', path, class: 'control' }),
      await openEcho(server, { node: 'tentacle-1', path, class: 'bulk' }),
      await openEcho(tentacle, { node: 'server', class: 'control' }),
      await openEcho(lower, { node: 'server', class: 'bulk' }),
    ];
    const upSince = () => nodes.map(({ mesh }) => mesh.links().map((link) => [link.peer, link.up, link.upSinceMs]));
    const before = upSince();
    const expiresAtMs = Math.max(...nodes.map(({ identity }) => identity.peer().notAfterMs));
    await Promise.all(nodes.map((node) => renew(authority, node)));
    expect(Date.now()).toBeLessThan(expiresAtMs);
    await waitFor(() => Date.now() > expiresAtMs + 1_000, {
      limitMs: 2 * shortMs,
      what: 'the first certificates’ end',
    });
    expect(upSince()).toEqual(before);
    expect(await Promise.all(streams.map(echoes))).toEqual(streams.map(() => true));
    expect(streams[0]?.peer.serialNumber).toBe(tentacle.identity.peer().serialNumber);
    // A connection of its own on every link, after the change.
    expect(await echoes(await openEcho(server, { node: 'tentacle-1', path, class: 'bulk' }))).toBe(true);
  });
});

describe('a certificate that was not renewed', () => {
  it('takes the link with it when it expires, and bulk on the link too', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const node = await authority.node('tentacle-1', 'tentacle', { lifetimeMs: 6_000 });
    const parents = [{ node: 'server-1', address: server.mesh.address! }];
    const tentacle = await startNode(authority, 'tentacle-1', 'tentacle', { parents }, {}, node);
    await linked(server, tentacle);
    const bulk = await openEcho(server, { node: 'tentacle-1', class: 'bulk' });
    await waitFor(() => bulk.destroyed, { limitMs: 12_000, what: 'the end of the stream' });
    await waitFor(() => server.mesh.links()[0]?.up === false, { what: 'the end of the link' });
    expect(server.mesh.links()[0]?.lastErrorCode).toBe('PEER_CERTIFICATE_EXPIRED');
    expect(Date.now()).toBeGreaterThanOrEqual(node.identity.peer().notAfterMs);
  });
});

interface Linked {
  readonly authority: TestMesh;
  readonly server: StartedNode;
  readonly node: TestNode;
  readonly link: FakeLink;
}

/** A server with a neighbour that can show it anything. */
async function linkedFake(hello: Parameters<typeof fakeLink>[2] = {}): Promise<Linked> {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const node = await authority.node('t1', 'tentacle');
  const link = await fakeLink(server.mesh.address!, node.identity, hello);
  await waitFor(() => server.mesh.links()[0]?.up, { what: 'the link' });
  return { authority, server, node, link };
}

const proofIn = ({ tls }: FakeLink, identity: NodeIdentity, sender: TlsSide = 'client') =>
  proveCredential({ socket: tls, sender }, identity);

/** A certificate of t1 that the authority would not issue: its key has 1024 bits. */
async function weakIdentity(authority: TestMesh): Promise<NodeIdentity> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const sealed = await readFile(`${authority.dataDir}/authority/authority.key.sealed`, 'utf8');
  const key = createPrivateKey(authority.sealer.openText(sealed, 'authority/key'));
  const { meshId } = authority;
  const certificatePem = await buildCertificate({
    subject: 't1',
    publicKey,
    serialNumber: '4242424242424242',
    notBeforeMs: Date.now() - 1_000,
    notAfterMs: Date.now() + 86_400_000,
    extensions: [
      { name: 'basicConstraints', critical: true, cA: false },
      { name: 'keyUsage', critical: true, digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 6, value: `isthmus://${meshId}/tentacle/t1` }] },
    ],
    issuer: { subject: `isthmus ${meshId}`, key },
  });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return {
    meshId,
    node: 't1',
    role: 'tentacle',
    site: null,
    keyPem,
    certificatePem,
    authorityPem: authority.authorityPem,
  };
}

const dayMs = 86_400_000;

describe('a certificate shown on a live link ends it, and extends nothing,', () => {
  it.each<[string, string, (at: Linked) => Promise<Credential>]>([
    [
      'of another node',
      'PEER_UNEXPECTED',
      async ({ authority, link }) => proofIn(link, await authority.identity('t2', 'tentacle')),
    ],
    [
      'of the same name in another role',
      'ROLE_FORBIDDEN',
      async ({ authority, link }) => proofIn(link, await authority.identity('t1', 'relay')),
    ],
    [
      'of another mesh',
      'PEER_CERTIFICATE_UNTRUSTED',
      async ({ link }) => proofIn(link, await (await createTestMesh('other')).identity('t1', 'tentacle')),
    ],
    [
      'that has expired',
      'PEER_CERTIFICATE_EXPIRED',
      async ({ authority, link }) =>
        proofIn(link, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - 8 * dayMs })),
    ],
    [
      'that is revoked',
      'PEER_CERTIFICATE_REVOKED',
      async ({ authority, server, link }) => {
        server.revocations.merge(authority.revoke(1, [{ node: 't1', revokedAtMs: Date.now() - dayMs }]));
        return proofIn(link, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - 2 * dayMs }));
      },
    ],
    [
      'older than the one before',
      'PROTOCOL',
      async ({ authority, link }) =>
        proofIn(link, await authority.identity('t1', 'tentacle', { nowMs: Date.now() - dayMs })),
    ],
    ['that it has shown before', 'PROTOCOL', ({ node, link }) => proofIn(link, node.identity.current())],
    [
      'with a key of 1024 bits',
      'PEER_CERTIFICATE_WEAK',
      async ({ authority, link }) => proofIn(link, await weakIdentity(authority)),
    ],
    [
      'signed for another session of the same two nodes',
      'CREDENTIAL_UNPROVEN',
      async ({ authority, server, node, link }) => {
        const proof = await proofIn(link, await authority.identity('t1', 'tentacle'));
        const again = await fakeLink(server.mesh.address!, node.identity, { sessionEpoch: 2 });
        await link.ended;
        await waitFor(() => server.mesh.links()[0]?.up, { what: 'the second session' });
        again.attach.write({ credential: proof });
        return proof;
      },
    ],
    [
      'signed for the other side of the session',
      'CREDENTIAL_UNPROVEN',
      async ({ authority, link }) => proofIn(link, await authority.identity('t1', 'tentacle'), 'server'),
    ],
    [
      'with the signature of another certificate of the same node',
      'CREDENTIAL_UNPROVEN',
      async ({ authority, link }) => {
        const { signature } = await proofIn(link, await authority.identity('t1', 'tentacle'));
        return { certificate: derOf(await authority.identity('t1', 'tentacle')), signature };
      },
    ],
    [
      'with no signature',
      'CREDENTIAL_UNPROVEN',
      async ({ authority }) => ({
        certificate: derOf(await authority.identity('t1', 'tentacle')),
        signature: Buffer.alloc(0),
      }),
    ],
    [
      'that is none',
      'PROTOCOL',
      () => Promise.resolve({ certificate: Buffer.from('nonsense'), signature: Buffer.alloc(256) }),
    ],
  ])('%s', async (_what, code, make) => {
    const at = await linkedFake();
    const credential = await make(at);
    at.link.attach.write({ credential });
    await waitFor(() => at.server.mesh.links()[0]?.up === false, { what: 'the end of the link' });
    expect(at.server.mesh.links()[0]?.lastErrorCode).toBe(code);
    expect(at.server.mesh.denials.latest().map((denial) => [denial.by, denial.code])).toContainEqual(['t1', code]);
  });

  it('also when the listening side shows it', async () => {
    const authority = await createTestMesh();
    const parent = await authority.node('server-1', 'server');
    const fake = await fakeParent(parent);
    const parents = [{ node: 'server-1', address: fake.address }];
    const onceOnly = { backoffBaseMs: 3_600_000, backoffCapMs: 3_600_000 };
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents }, onceOnly);
    await waitFor(() => tentacle.mesh.links()[0]?.up, { what: 'the link' });
    const { attach, tls } = fake.session()!;
    const next = await authority.identity('server-1', 'server');
    // Its own proof, handed back: signed for the connector's side.
    attach.write({ credential: await proveCredential({ socket: tls, sender: 'client' }, next) });
    await waitFor(() => tentacle.mesh.links()[0]?.up === false, { what: 'the end of the link' });
    expect(tentacle.mesh.links()[0]?.lastErrorCode).toBe('CREDENTIAL_UNPROVEN');
  });
});

describe('revocation of a node that has renewed', () => {
  it('judges the certificate that it has proven last', async () => {
    const { authority, server, node, link } = await linkedFake();
    const revokeUpTo = (version: number, revokedAtMs: number) =>
      server.revocations.merge(authority.revoke(version, [{ node: 't1', revokedAtMs }]));
    const first = node.identity.peer().notBeforeMs + BACKDATE_MS;
    const later = await authority.identity('t1', 'tentacle', { nowMs: first + 60_000 });
    link.attach.write({ credential: await proofIn(link, later) });
    link.attach.write({ ping: { id: 99 } });
    await waitFor(() => link.frames.some(({ pong }) => pong?.id === 99), { what: 'the credential to be read' });
    expect(revokeUpTo(1, first + 30_000)).toBe('newer');
    expect(server.mesh.links()[0]?.up).toBe(true);
    expect(revokeUpTo(2, first + 60_000)).toBe('newer');
    expect(server.mesh.links()[0]).toMatchObject({ up: false, lastErrorCode: 'PEER_CERTIFICATE_REVOKED' });
  });
});

function derOf({ certificatePem }: NodeIdentity): Buffer {
  return Buffer.from(certificatePem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
}
