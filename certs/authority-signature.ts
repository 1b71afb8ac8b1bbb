// The authority's signatures on statements that are not certificates, and how every node verifies them: RSA-PSS with
// SHA-256 over the statement's kind and bytes.
import { constants, createHash, verify, X509Certificate } from 'node:crypto';
import { LRUCache } from 'lru-cache';

/** The kinds of statement. The kind is part of the signed bytes. */
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
  const key = digestOf(authorityPem, kind, statement, signature);
  if (verified.get(key) !== undefined) return true;
  const valid = isSigned(authorityPem, kind, statement, signature);
  if (valid) verified.set(key, true);
  return valid;
}

/** Caches valid signatures by a digest of all inputs: the same signer's statement comes with each of its envelopes. */
const verified = new LRUCache<string, true>({ max: 100 });

function digestOf(authorityPem: string, kind: StatementKind, statement: Buffer, signature: Buffer): string {
  const digest = createHash('sha256');
  for (const part of [Buffer.from(authorityPem), Buffer.from(kind), statement, signature]) {
    // The length goes in, too, so that no byte can move from one part to the next.
    digest.update(`${part.length}:`).update(part);
  }
  return digest.digest('base64');
}

function isSigned(authorityPem: string, kind: StatementKind, statement: Buffer, signature: Buffer): boolean {
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
