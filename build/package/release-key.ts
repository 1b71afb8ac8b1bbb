// The private key that a release is signed with.
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { keyFingerprint } from '../../certs/release-keys.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { BuildError } from './build-error.ts';

const BY_OTHERS = 0o077;

/** Creates a key in a file that is not there yet, for its owner alone; resolves with the public key's fingerprint. */
export async function createReleaseKey(file: string): Promise<string> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  try {
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  } catch (cause) {
    const code = errnoOf(cause);
    if (code === 'EEXIST') {
      throw new BuildError(`${file} is there already; sign with it (--key), or name another file`, undefined, {
        cause,
      });
    }
    throw new BuildError(`${file} cannot be created (${code}); name a file in a folder that is yours`, undefined, {
      cause,
    });
  }
  return keyFingerprint(publicKey);
}

/** Reads a private Ed25519 key (PEM). BuildError when the file is none, or when others can read it. */
export async function readSigningKey(file: string): Promise<KeyObject> {
  const pem = await readOwnFile(file);
  if (pem.includes('PUBLIC KEY-----')) {
    throw new BuildError(`${file} is a public key; --key takes the private one, as --new-key created it`);
  }
  if (pem.includes('ENCRYPTED')) {
    throw new BuildError(`${file} is encrypted; write it without a passphrase first: openssl pkey -in FILE -out NEW`);
  }
  const key = parseKey(file, pem);
  if (key.asymmetricKeyType === 'ed25519') return key;
  const kind = key.asymmetricKeyType?.toUpperCase();
  throw new BuildError(`${file} is a key for ${kind}, not for Ed25519; --new-key FILE creates one`);
}

async function readOwnFile(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r');
    const { mode } = await file.stat();
    const text = await file.readFile('utf8');
    if ((mode & BY_OTHERS) === 0) return text;
    // Of a public key everybody may read, the other mistake is the one to tell.
    if (text.includes('PUBLIC KEY-----')) return text;
    const octal = (mode & 0o777).toString(8).padStart(4, '0');
    throw new BuildError(`${path} can be used by others (mode ${octal}); chmod 600 it, or create another key`);
  } catch (cause) {
    if (cause instanceof BuildError) throw cause;
    const code = errnoOf(cause);
    if (code === 'ENOENT') {
      throw new BuildError(`there is no file ${path}; --new-key FILE creates a key`, undefined, { cause });
    }
    throw new BuildError(`${path} cannot be read (${code}); --key names the file of a private key`, undefined, {
      cause,
    });
  }
}

function parseKey(file: string, pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new BuildError(`${file} is no private key in PEM; --new-key FILE creates one`, undefined, { cause });
  }
}
