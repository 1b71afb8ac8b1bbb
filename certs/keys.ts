// The keys of certificates: RSA, made and read by node:crypto, so that a node that runs needs no node-forge.
import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { IsthmusError } from '../contract/errors.ts';

/** A certificate is valid from this long before it was issued, for peers whose clock is behind. */
export const BACKDATE_MS = 5 * 60_000;

/** A new RSA key pair; the private key as PKCS #8 PEM. */
export async function generateKey(bits: 2048 | 3072 = 2048): Promise<{ keyPem: string; spkiDer: Buffer }> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: bits });
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    spkiDer: publicKey.export({ type: 'spki', format: 'der' }),
  };
}

/**
 * Reads a peer's public key. INVALID_FIELD unless it is RSA of 2048 to 8192 bits with an exponent of at least 65537.
 */
export function readPublicKey(spkiDer: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spkiDer, format: 'der', type: 'spki' });
  } catch (thrown) {
    throw new IsthmusError('INVALID_FIELD', 'not a DER public key', { field: 'publicKeySpki', cause: thrown });
  }
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType !== 'rsa' || modulusLength < 2048 || modulusLength > 8192 || publicExponent < 65_537n) {
    const found = `${key.asymmetricKeyType ?? 'unknown'} ${modulusLength || ''}`.trim();
    throw new IsthmusError('INVALID_FIELD', `the key must be RSA of 2048 to 8192 bits, not ${found}`, {
      field: 'publicKeySpki',
    });
  }
  return key;
}
