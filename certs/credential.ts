// Carries a TLS session on under a renewed certificate. TLS 1.3 looks at certificates once; afterwards a node shows its new
// one inside the session, signed by the new key over keying material that only the two ends of that very session have.
// What is signed also names the certificate and the sender's side, so a credential holds for nothing else. It is what RFC
// 9261 (exported authenticators) does, which OpenSSL does not offer, reduced to the one kind of certificate of a mesh.
import { constants, createHash, sign, verify, X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { IsthmusError } from '../contract/errors.ts';
import type { NodeIdentity } from './identity.ts';
import type { PeerIdentity } from './peer.ts';
import { verifyCertificate, type RevocationCheck, type Trust } from './verify.ts';

/** The sender's part in the TLS handshake. */
export type TlsSide = 'client' | 'server';

export interface Credential {
  /** DER of the leaf. */
  readonly certificate: Buffer;
  /** RSA-PSS with SHA-256, salt of 32 bytes. */
  readonly signature: Buffer;
}

/** A live session, and which side of it sends the credential. */
export interface CredentialSession {
  readonly socket: TLSSocket;
  readonly sender: TlsSide;
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } as const;
const label = (sender: TlsSide): string => `EXPORTER-isthmus-credential-${sender}`;
const signAside = promisify<string, Buffer, { key: string } & typeof pss, Buffer>(sign);

/** Signs this node's present certificate into a session; off the event loop, because a node may have a thousand links. */
export async function proveCredential(session: CredentialSession, identity: NodeIdentity): Promise<Credential> {
  const certificate = new X509Certificate(identity.certificatePem).raw;
  const signature = await signAside('sha256', signedBytes(session, certificate), { key: identity.keyPem, ...pss });
  return { certificate, signature };
}

export interface CredentialRules {
  readonly trust: Trust;
  readonly revocations: RevocationCheck;
  /** Who the sender has proven to be so far: it stays that node, in that role, and never goes back to an older certificate. */
  readonly known: PeerIdentity;
}

/**
 * The sender's identity by its new certificate. PEER_CERTIFICATE_… when the certificate would not be let in, PEER_UNEXPECTED
 * or ROLE_FORBIDDEN when it is another node's, CREDENTIAL_UNPROVEN when its key did not sign in this session, PROTOCOL when
 * it is no certificate, or one older than the last.
 */
export function judgeCredential(
  session: CredentialSession,
  { certificate, signature }: Credential,
  { trust, revocations, known }: CredentialRules,
): PeerIdentity {
  const leaf = readLeaf(certificate, known);
  const expected = { node: known.node, roles: [known.role] };
  const shown = verifyCertificate(leaf, trust, { revocations, expected });
  if (!verify('sha256', signedBytes(session, certificate), { key: leaf.publicKey, ...pss }, signature)) {
    throw new IsthmusError('CREDENTIAL_UNPROVEN', `${known.node} did not prove the certificate it showed`);
  }
  if (shown.notBeforeMs < known.notBeforeMs) {
    throw new IsthmusError('PROTOCOL', `${known.node} went back to an older certificate`);
  }
  return shown;
}

/** What both ends of a session can call it to each other, outside it: 16 bytes that tell nothing of it. */
export function sessionName(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(16, 'EXPORTER-isthmus-session-name', Buffer.alloc(0));
}

/** The exporter's context is the certificate, so that its key cannot be proven for another one that has the same key. */
function signedBytes({ socket, sender }: CredentialSession, certificate: Buffer): Buffer {
  const context = createHash('sha256').update(certificate).digest();
  return Buffer.concat([Buffer.from(`${label(sender)}\0`), socket.exportKeyingMaterial(32, label(sender), context)]);
}

function readLeaf(certificate: Buffer, known: PeerIdentity): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (cause) {
    throw new IsthmusError('PROTOCOL', `what ${known.node} shows is not a certificate`, { cause });
  }
}
