// The mesh's certificate authority. Only the server imports this. Its private key is sealed under the master key.
import { constants, createPrivateKey, randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../lib/files/durable.ts';
import { readSecret } from '../lib/files/private.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Sealer } from '../lib/secrets/seal.ts';
import { DAY_MS } from '../lib/time.ts';
import { signedBytes, type StatementKind } from './authority-signature.ts';
import { buildCertificate } from './certificate.ts';
import { BACKDATE_MS, generateKey, readPublicKey } from './keys.ts';
import { identityUri, PROVISIONAL_UNIT } from './peer.ts';
import type { NodeRole } from '../contract/nodes.ts';

/** Short, so that a stolen key is of little use; long enough for a week without the server. */
export const LEAF_LIFETIME_MS = 7 * DAY_MS;
/**
 * How long an enrolled node has to confirm. Longer than a round trip, because clocks may differ by five minutes; short,
 * because a node that never confirms keeps the certificate.
 */
export const PROVISIONAL_LIFETIME_MS = 10 * 60_000;
const AUTHORITY_LIFETIME_MS = 10 * 365 * DAY_MS;
const SEAL_IDENTITY = 'authority/key';

export interface CertificateOrder {
  readonly spkiDer: Buffer;
  readonly node: string;
  readonly role: NodeRole;
  /** Valid for ten minutes, and only to confirm an enrolment. */
  readonly provisional?: true;
  /** For tests; the default is 7 days. */
  readonly lifetimeMs?: number;
  readonly nowMs?: number;
}

export interface IssuedCertificate {
  readonly certificatePem: string;
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Creates the authority of a new mesh in `<dataDir>/authority`, with a new key unless one is given.
 * ALREADY_INITIALISED when it exists.
 */
export async function createAuthority(
  dataDir: string,
  meshId: string,
  sealer: Sealer,
  pair?: Awaited<ReturnType<typeof generateKey>>,
): Promise<Authority> {
  const folder = join(dataDir, 'authority');
  if (existsSync(join(folder, 'authority.pem'))) {
    throw new IsthmusError('ALREADY_INITIALISED', `${folder} already holds an authority`);
  }
  const { keyPem, spkiDer } = pair ?? (await generateKey(3072));
  const subject = authoritySubject(meshId);
  const key = createPrivateKey(keyPem);
  const nowMs = Date.now();
  const certificatePem = await buildCertificate({
    subject,
    publicKey: readPublicKey(spkiDer),
    serialNumber: newSerial(),
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + AUTHORITY_LIFETIME_MS,
    extensions: [
      { name: 'basicConstraints', critical: true, cA: true, pathLenConstraint: 0 },
      { name: 'keyUsage', critical: true, keyCertSign: true, digitalSignature: true },
      { name: 'subjectKeyIdentifier' },
    ],
    issuer: { subject, key },
  });
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeDurably(join(folder, 'authority.key.sealed'), sealer.seal(keyPem, SEAL_IDENTITY));
  // Written last: its presence means that the authority is complete.
  writeDurably(join(folder, 'authority.pem'), certificatePem, 0o644);
  return new Authority(meshId, certificatePem, key);
}

/**
 * Opens an existing authority. NOT_INITIALISED when there is none, IDENTITY_INVALID when its certificate is damaged.
 */
export function openAuthority(dataDir: string, sealer: Sealer): Authority {
  const folder = join(dataDir, 'authority');
  const file = join(folder, 'authority.pem');
  if (!existsSync(file)) throw new IsthmusError('NOT_INITIALISED', `there is no authority in ${folder}`);
  const certificatePem = readFileSync(file, 'utf8');
  const keyPem = sealer.openText(readSecret(join(folder, 'authority.key.sealed')).toString(), SEAL_IDENTITY);
  const subject = /^CN=isthmus ([a-z0-9-]+)$/.exec(readCertificate(file, certificatePem).subject);
  if (subject?.[1] === undefined) throw new IsthmusError('IDENTITY_INVALID', `${folder} holds another authority`);
  return new Authority(subject[1], certificatePem, createPrivateKey(keyPem));
}

function readCertificate(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    const remedy = 'The file is damaged: restore a backup.';
    throw new IsthmusError('IDENTITY_INVALID', `${file} is not a certificate in PEM`, { remedy, cause });
  }
}

export class Authority {
  readonly meshId: string;
  readonly certificatePem: string;
  readonly #key: KeyObject;

  constructor(meshId: string, certificatePem: string, key: KeyObject) {
    this.meshId = meshId;
    this.certificatePem = certificatePem;
    this.#key = key;
  }

  /** Issues a certificate for a node's public key. INVALID_FIELD when the key is too weak. */
  async issue({
    spkiDer,
    node,
    role,
    provisional,
    lifetimeMs = provisional ? PROVISIONAL_LIFETIME_MS : LEAF_LIFETIME_MS,
    nowMs,
  }: CertificateOrder): Promise<IssuedCertificate> {
    const issuedAtMs = nowMs ?? Date.now();
    const serialNumber = newSerial();
    const notBeforeMs = issuedAtMs - BACKDATE_MS;
    const notAfterMs = issuedAtMs + lifetimeMs;
    const certificatePem = await buildCertificate({
      subject: node,
      unit: provisional && PROVISIONAL_UNIT,
      publicKey: readPublicKey(spkiDer),
      serialNumber,
      notBeforeMs,
      notAfterMs,
      extensions: leafExtensions(identityUri({ meshId: this.meshId, role, node })),
      issuer: { subject: authoritySubject(this.meshId), key: this.#key },
    });
    return { certificatePem, serialNumber: serialNumber.toUpperCase(), notBeforeMs, notAfterMs };
  }

  /** Signs a statement together with its kind (RSA-PSS, SHA-256), so that it cannot pass for another kind. */
  sign(kind: StatementKind, statement: Buffer): Buffer {
    return sign('sha256', signedBytes(kind, statement), {
      key: this.#key,
      padding: constants.RSA_PKCS1_PSS_PADDING,
      saltLength: 32,
    });
  }
}

function leafExtensions(uri: string): Record<string, unknown>[] {
  return [
    { name: 'basicConstraints', critical: true, cA: false },
    { name: 'keyUsage', critical: true, digitalSignature: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
    { name: 'subjectAltName', altNames: [{ type: 6, value: uri }] },
    { name: 'subjectKeyIdentifier' },
  ];
}

function authoritySubject(meshId: string): string {
  return `isthmus ${meshId}`;
}

/** 127 random bits with the first one set: positive, and always as long in hex as X509Certificate prints it. */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = 0x40 | (bytes[0]! & 0x3f);
  return bytes.toString('hex');
}
