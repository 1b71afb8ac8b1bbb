// Continues a TLS session under a renewed certificate. TLS 1.3 exchanges certificates once, in the handshake. Later a
// node sends its new certificate inside the session, with a signature by the new key over keying material that only the
// two endpoints of this session have. The certificate and the sender's side are signed, too, so a credential is valid
// for nothing else. This is RFC 9261 (exported authenticators), which OpenSSL does not offer, for one kind of
// certificate.
import { constants, createHash, sign, verify, X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { IsthmusError } from '../contract/errors.ts';
import type { NodeIdentity } from './identity.ts';
import type { PeerIdentity } from './peer.ts';
import { verifyCertificate, type RevocationCheck, type Trust } from './verify.ts';

/** The sender's role in the TLS handshake. */
export type TlsSide = 'client' | 'server';

export interface Credential {
  /** DER of the leaf. */
  readonly certificate: Buffer;
  /** RSA-PSS with SHA-256, salt of 32 bytes. */
  readonly signature: Buffer;
}

/** A live session, and the side that sends the credential. */
export interface CredentialSession {
  readonly socket: TLSSocket;
  readonly sender: TlsSide;
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } as const;
const label = (sender: TlsSide): string => `EXPORTER-isthmus-credential-${sender}`;
const signAsync = promisify<string, Buffer, { key: string } & typeof PSS, Buffer>(sign);

/** Signs this node's present certificate for a session, off the event loop: a node may have a thousand links. */
export async function proveCredential(session: CredentialSession, identity: NodeIdentity): Promise<Credential> {
  const certificate = new X509Certificate(identity.certificatePem).raw;
  const signature = await signAsync('sha256', signedBytes(session, certificate), { key: identity.keyPem, ...PSS });
  return { certificate, signature };
}

export interface CredentialRules {
  readonly trust: Trust;
  readonly revocations: RevocationCheck;
  /** The sender's proven identity. Node and role must stay the same, and the certificate must not be older. */
  readonly known: PeerIdentity;
}

/**
 * Verifies a credential and returns the sender's identity by its new certificate. PEER_CERTIFICATE_… when the
 * certificate is not accepted, PEER_UNEXPECTED or ROLE_FORBIDDEN when it belongs to another node, CREDENTIAL_UNPROVEN
 * when its key did not sign in this session, PROTOCOL when it is not a certificate or older than the last.
 */
export function judgeCredential(
  session: CredentialSession,
  { certificate, signature }: Credential,
  { trust, revocations, known }: CredentialRules,
): PeerIdentity {
  const leaf = readLeaf(certificate, known);
  const expected = { node: known.node, roles: [known.role] };
  const shown = verifyCertificate(leaf, trust, { revocations, expected });
  if (!verify('sha256', signedBytes(session, certificate), { key: leaf.publicKey, ...PSS }, signature)) {
    throw new IsthmusError('CREDENTIAL_UNPROVEN', `${known.node} did not prove the certificate it showed`);
  }
  if (shown.notBeforeMs < known.notBeforeMs) {
    throw new IsthmusError('PROTOCOL', `${known.node} went back to an older certificate`);
  }
  return shown;
}

/** A name of the session that both endpoints derive and may use outside it: 16 bytes that reveal nothing. */
export function sessionName(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(16, 'EXPORTER-isthmus-session-name', Buffer.alloc(0));
}

/** The certificate is the exporter's context, so that the proof does not hold for another one with the same key. */
function signedBytes({ socket, sender }: CredentialSession, certificate: Buffer): Buffer {
  const context = createHash('sha256').update(certificate).digest();
  return Buffer.concat([Buffer.from(`${label(sender)}\0`), socket.exportKeyingMaterial(32, label(sender), context)]);
}

function readLeaf(certificate: Buffer, known: PeerIdentity): X509Certificate {
  try {
    return new X509Certificate(certificate);
  } catch (cause) {
    throw new IsthmusError('PROTOCOL', `${known.node} sent a credential that is not a certificate`, { cause });
  }
}
