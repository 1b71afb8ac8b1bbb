// Bad certificates on either side of TLS: which side rejects them, with which code, and what the message says.
import { createPublicKey, X509Certificate } from 'node:crypto';
import type { ConnectionOptions, TLSSocketOptions } from 'node:tls';
import { beforeAll, afterAll, describe, expect, test } from 'vitest';
import { generateKey } from '../../certs/keys.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { linkClientOptions, linkServerOptions } from '../../certs/tls.ts';
import { verifyCertificate, verifyPeer, type Expected, type RevocationCheck } from '../../certs/verify.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { leafExtensions, leafOf, type LeafParts } from '../support/leaf.ts';
import { tlsPair } from '../support/tls.ts';

const removals: (() => void)[] = [];
let mesh: TestMesh;
let other: TestMesh;
let server: NodeIdentity;
beforeAll(async () => {
  mesh = await createTestMesh('mesh-a', (remove) => removals.push(remove));
  other = await createTestMesh('mesh-a', (remove) => removals.push(remove));
  server = await mesh.identity('server-1', 'server');
});
afterAll(() => removals.forEach((remove) => remove()));

const dayMs = 86_400_000;

const { notCa, usage, both, san } = leafExtensions;
const leaf = (parts: LeafParts = {}): Promise<NodeIdentity> => leafOf(mesh, parts);

/** The result of each side: an error code, or the peer's identity. */
async function judge(
  client: NodeIdentity,
  revocations?: RevocationCheck,
  { asClient = {}, asServer = {} }: { asClient?: Expected; asServer?: Expected } = {},
): Promise<{ atServer: string; atClient: string; message: string }> {
  const sides = await tlsPair(linkServerOptions(server), linkClientOptions(client));
  const at = (socket: (typeof sides)['client'], trust: NodeIdentity, expected: Expected): [string, string] => {
    try {
      const peer = verifyPeer(socket, trust, revocations, expected);
      return [`${peer.role} ${peer.node}`, ''];
    } catch (thrown) {
      if (thrown instanceof IsthmusError) return [thrown.code, thrown.message];
      throw thrown;
    }
  };
  const [atServer, message] = at(sides.server, server, asServer);
  return { atServer, message, atClient: at(sides.client, server, asClient)[0] };
}

describe('between two nodes of a mesh', () => {
  test('each learns who the other is', async () => {
    const relay = await mesh.identity('relay-eu', 'relay');
    expect(await judge(relay)).toMatchObject({ atServer: 'relay relay-eu', atClient: 'server server-1' });
  });

  test.each<[string, Expected, string]>([
    ['another node', { node: 'relay-us' }, 'PEER_UNEXPECTED'],
    ['the word server, for a relay', { node: 'server' }, 'PEER_UNEXPECTED'],
    ['another role', { roles: ['tentacle'] }, 'ROLE_FORBIDDEN'],
    ['this node', { node: 'relay-eu', roles: ['relay'] }, 'relay relay-eu'],
  ])('expecting %s gives its code', async (_name, asServer, outcome) => {
    const relay = await mesh.identity('relay-eu', 'relay');
    expect((await judge(relay, undefined, { asServer })).atServer).toBe(outcome);
  });
});

describe('rejected client certificates', () => {
  test('none', async () => {
    const { key: _key, cert: _cert, secureContext: _context, ...anonymous } = linkClientOptions(server);
    const sides = await tlsPair(linkServerOptions(server), anonymous);
    expect(() => verifyPeer(sides.server, server, undefined)).toThrow(
      expect.objectContaining({ code: 'PEER_CERTIFICATE_MISSING' }),
    );
  });

  test.each<[string, string, () => Promise<NodeIdentity>]>([
    ['expired', 'PEER_CERTIFICATE_EXPIRED', () => mesh.identity('r', 'relay', { nowMs: Date.now() - 9 * dayMs })],
    [
      'not yet valid',
      'PEER_CERTIFICATE_NOT_YET_VALID',
      () => mesh.identity('r', 'relay', { nowMs: Date.now() + dayMs }),
    ],
    ['of another authority', 'PEER_CERTIFICATE_UNTRUSTED', async () => other.identity('r', 'relay')],
    [
      'signed by a leaf',
      'PEER_CERTIFICATE_UNTRUSTED',
      async () => {
        const { keyPem } = await mesh.identity('relay-eu', 'relay');
        return leaf({ issuer: { subject: 'relay-eu', keyPem } });
      },
    ],
    [
      'self-signed',
      'PEER_CERTIFICATE_UNTRUSTED',
      async () => {
        const { keyPem } = await generateKey();
        return leaf({ issuer: { subject: 'isthmus mesh-a', keyPem } });
      },
    ],
    ['without a name', 'PEER_CERTIFICATE_NAME', () => leaf({ extensions: [notCa, usage, both] })],
    [
      'with two names',
      'PEER_CERTIFICATE_NAME',
      () =>
        leaf({
          extensions: [
            notCa,
            usage,
            both,
            {
              name: 'subjectAltName',
              altNames: [
                { type: 6, value: 'isthmus://mesh-a/relay/relay-x' },
                { type: 6, value: 'isthmus://mesh-a/server/server-1' },
              ],
            },
          ],
        }),
    ],
    [
      'with a name that hides another',
      'PEER_CERTIFICATE_NAME',
      () =>
        leaf({
          extensions: [
            notCa,
            usage,
            both,
            {
              name: 'subjectAltName',
              altNames: [{ type: 6, value: 'isthmus://mesh-a/relay/a, URI:isthmus://mesh-a/server/b' }],
            },
          ],
        }),
    ],
    [
      'of another mesh',
      'PEER_CERTIFICATE_UNTRUSTED',
      () =>
        leaf({
          extensions: [
            notCa,
            usage,
            both,
            { name: 'subjectAltName', altNames: [{ type: 6, value: 'isthmus://mesh-b/relay/relay-x' }] },
          ],
        }),
    ],
    [
      'for servers only',
      'PEER_CERTIFICATE_USAGE',
      () => leaf({ extensions: [notCa, usage, { name: 'extKeyUsage', serverAuth: true }, san] }),
    ],
    [
      'for code signing',
      'PEER_CERTIFICATE_USAGE',
      () => leaf({ extensions: [notCa, usage, { name: 'extKeyUsage', codeSigning: true }, san] }),
    ],
  ])('%s', async (_name, code, make) => {
    const { atServer, message } = await judge(await make());
    expect(atServer).toBe(code);
    expect(message).toMatch(/valid from \d{4}-.*Z to \d{4}-.*Z; the clock here says \d{4}-.*Z/);
  });

  test('of 1024 bits, which not even the owner’s TLS would load', async () => {
    const weak = await leaf({ bits: 1024 });
    expect(() => verifyCertificate(new X509Certificate(weak.certificatePem), server)).toThrow(/1024/);
    await expect(
      mesh.authority.issue({
        spkiDer: createPublicKey(weak.keyPem).export({ type: 'spki', format: 'der' }),
        node: 'r',
        role: 'relay',
      }),
    ).rejects.toMatchObject({ code: 'INVALID_FIELD', field: 'publicKeySpki' });
  });

  test('revoked, and only that one: a later certificate of the node is good', async () => {
    const { revocations } = await mesh.node('any', 'relay');
    const old = await mesh.identity('relay-eu', 'relay', { nowMs: Date.now() - 60_000 });
    const fresh = await mesh.identity('relay-eu', 'relay', { nowMs: Date.now() + 2_000 });
    revocations.merge(mesh.revoke(1, [{ node: 'relay-eu', revokedAtMs: Date.now() }]));
    expect((await judge(old, revocations)).atServer).toBe('PEER_CERTIFICATE_REVOKED');
    expect((await judge(fresh, revocations)).atServer).toBe('relay relay-eu');
  });
});

describe('rejected server certificates', () => {
  test.each<[string, string, () => Promise<NodeIdentity>]>([
    [
      'for clients only',
      'PEER_CERTIFICATE_USAGE',
      () => leaf({ extensions: [notCa, usage, { name: 'extKeyUsage', clientAuth: true }, san] }),
    ],
    ['expired', 'PEER_CERTIFICATE_EXPIRED', () => mesh.identity('r', 'relay', { nowMs: Date.now() - 9 * dayMs })],
    ['of another authority', 'PEER_CERTIFICATE_UNTRUSTED', async () => other.identity('r', 'relay')],
  ])('%s', async (_name, code, make) => {
    const sides = await tlsPair(linkServerOptions(await make()), linkClientOptions(server));
    expect(() => verifyPeer(sides.client, server, undefined)).toThrow(expect.objectContaining({ code }));
  });
});

test.each(['TLSv1.1', 'TLSv1.2'] as const)('%s is rejected at the handshake, from either side', async (version) => {
  const relay = await mesh.identity('relay-eu', 'relay');
  const old = { minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  const oldClient: ConnectionOptions = { ...linkClientOptions(relay), ...old, secureContext: undefined };
  const oldServer: TLSSocketOptions = { ...linkServerOptions(relay), ...old };
  await expect(tlsPair(linkServerOptions(server), oldClient)).rejects.toThrow(/version|protocol|alert/i);
  await expect(tlsPair(oldServer, linkClientOptions(server))).rejects.toThrow(/version|protocol|alert/i);
});

test('a session cannot be resumed, so every connection shows its certificate', async () => {
  const relay = await mesh.identity('relay-eu', 'relay');
  const first = await tlsPair(linkServerOptions(server), linkClientOptions(relay));
  let tickets = 0;
  first.client.on('session', () => (tickets += 1));
  await new Promise<void>((resolve) => {
    first.client.once('data', () => resolve());
    first.server.write('x');
  });
  expect(tickets).toBe(0);
});

test.each<NodeRole>(['server', 'relay', 'mirror', 'tentacle'])('a certificate names its %s', async (role) => {
  const identity = await mesh.identity('node-7', role, { nowMs: Date.now() - 1000 });
  const peer = verifyCertificate(new X509Certificate(identity.certificatePem), identity);
  expect(peer).toMatchObject({ meshId: 'mesh-a', node: 'node-7', role });
  expect(peer.notAfterMs - peer.notBeforeMs).toBe(7 * dayMs + 5 * 60_000);
});
