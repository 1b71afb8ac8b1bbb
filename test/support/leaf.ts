// Certificates that the authority of a mesh would never issue: of chosen parts, validity and issuer.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buildCertificate } from '../../certs/certificate.ts';
import type { NodeIdentity } from '../../certs/identity.ts';
import type { TestMesh } from './identities.ts';

const dayMs = 86_400_000;

export interface LeafParts {
  readonly bits?: 1024 | 2048;
  readonly extensions?: Record<string, unknown>[];
  readonly issuer?: { readonly subject: string; readonly keyPem: string };
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

/** What a good leaf has. `san` names the relay relay-x of mesh-a. */
export const leafExtensions = {
  notCa: { name: 'basicConstraints', critical: true, cA: false },
  usage: { name: 'keyUsage', critical: true, digitalSignature: true },
  both: { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
  san: { name: 'subjectAltName', altNames: [{ type: 6, value: 'isthmus://mesh-a/relay/relay-x' }] },
} as const;

/** A leaf for the relay relay-x of the mesh mesh-a, issued by the mesh's authority unless told otherwise. */
export async function leafOf(mesh: TestMesh, parts: LeafParts = {}): Promise<NodeIdentity> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: parts.bits ?? 2048 });
  const authorityKeyPem = mesh.sealer.openText(
    await readFile(`${mesh.dataDir}/authority/authority.key.sealed`, 'utf8'),
    'authority/key',
  );
  const issuer = parts.issuer ?? { subject: 'isthmus mesh-a', keyPem: authorityKeyPem };
  const { notCa, usage, both, san } = leafExtensions;
  const certificatePem = await buildCertificate({
    subject: 'relay-x',
    publicKey,
    serialNumber: '4242424242424242',
    notBeforeMs: parts.notBeforeMs ?? Date.now() - 1000,
    notAfterMs: parts.notAfterMs ?? Date.now() + dayMs,
    extensions: parts.extensions ?? [notCa, usage, both, san],
    issuer: { subject: issuer.subject, key: createPrivateKey(issuer.keyPem) },
  });
  return {
    meshId: 'mesh-a',
    node: 'relay-x',
    role: 'relay',
    site: null,
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    certificatePem,
    authorityPem: mesh.authorityPem,
  };
}
