// What the authority signs besides certificates, and how everyone else checks it: RSA-PSS with SHA-256 over the kind of
// the statement and its bytes.
import { constants, createHash, verify, X509Certificate } from 'node:crypto';

/** The kinds of statement; the kind is part of what is signed. */
export type StatementKind = 'signer' | 'revocations';

/** The bytes that are signed for a statement. */
export function signedBytes(kind: StatementKind, statement: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`isthmus/${kind}/v1\0`), statement]);
}

/** Whether the authority signed this statement as this kind. */
export function verifyStatement(
  authorityPem: string,
  kind: StatementKind,
  statement: Buffer,
  signature: Buffer,
): boolean {
  try {
    return verify(
      'sha256',
      signedBytes(kind, statement),
      {
        key: new X509Certificate(authorityPem).publicKey,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      },
      signature,
    );
  } catch {
    return false;
  }
}

/** The pin of an authority: SHA-256 of its certificate, 64 lower-case hex digits. */
export function authorityPin(authority: string | X509Certificate): string {
  const certificate = typeof authority === 'string' ? new X509Certificate(authority) : authority;
  return createHash('sha256').update(certificate.raw).digest('hex');
}
