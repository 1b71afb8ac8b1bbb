// The proofs of a joining or renewing node, computed the same way on both sides: the token by an HMAC, the key by a
// signature. Both cover keying material of the TLS session that carries them, so that neither works in another session.
import { constants, createHash, createHmac, sign, timingSafeEqual, verify, type KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';

const EXPORTER_LABEL = 'EXPORTER-isthmus-enrol';
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } as const;
const TOKEN_PATTERN = /^ist_([0-9a-f-]{36})_([A-Za-z0-9_-]{43})$/;

/** The two parts of a join token. The secret itself is never sent. */
export interface JoinSecret {
  readonly id: string;
  readonly secret: Buffer;
}

/** The text of a join token: id and 32 secret bytes. */
export function formatToken({ id, secret }: JoinSecret): string {
  return `ist_${id}_${secret.toString('base64url')}`;
}

/** Reads a join token. TOKEN_UNKNOWN when it is malformed; the message does not repeat it. */
export function parseToken(text: string): JoinSecret {
  const [, id, secret] = TOKEN_PATTERN.exec(text.trim()) ?? [];
  if (id === undefined || secret === undefined) {
    throw new IsthmusError('TOKEN_UNKNOWN', 'this is not a join token: it begins with ist_ and has two more parts');
  }
  return { id, secret: Buffer.from(secret, 'base64url') };
}

/** The HMAC key of a token's proof. The server stores it, sealed. */
export function proofKey(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** The keying material that only the two endpoints of this session have. */
export function sessionKey(socket: TLSSocket): Buffer {
  return socket.exportKeyingMaterial(32, EXPORTER_LABEL, Buffer.alloc(0));
}

/** Everything that a proof is bound to. */
export interface ProofContext {
  readonly session: Buffer;
  readonly nonce: Buffer;
  readonly spkiDer: Buffer;
}

/** Proves knowledge of a token in this session, for this key. */
export function tokenProof(key: Buffer, { session, nonce, spkiDer }: ProofContext): Buffer {
  return createHmac('sha256', key).update(session).update(nonce).update(spkiDer).digest();
}

/** Compares a received proof in constant time. */
export function tokenProofHolds(key: Buffer, context: ProofContext, received: Buffer): boolean {
  const expected = tokenProof(key, context);
  return received.length === expected.length && timingSafeEqual(expected, received);
}

/** Proves possession of the private key in this session. */
export function keyProof(privateKey: KeyObject, { session, nonce }: ProofContext): Buffer {
  return sign('sha256', Buffer.concat([nonce, session]), { key: privateKey, ...PSS });
}

/** Whether the sender has the private key of a public key. */
export function keyProofHolds(publicKey: KeyObject, { session, nonce }: ProofContext, received: Buffer): boolean {
  return verify('sha256', Buffer.concat([nonce, session]), { key: publicKey, ...PSS }, received);
}

/** The identifier of a public key in the store: SHA-256 of its DER, hex. */
export function spkiDigest(spkiDer: Buffer): string {
  return createHash('sha256').update(spkiDer).digest('hex');
}
