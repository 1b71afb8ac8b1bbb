// Trust in the software itself: a list of digests (SHA256SUMS), signed with the Ed25519 key of whoever built it. Plain
// files and a raw signature, so that sha256sum and `openssl pkeyutl -verify -rawin` check them, too.
import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../contract/errors.ts';
import { checkDataDir } from '../lib/files/private.ts';

/** The signed list that comes with a tarball. */
export interface SignedSums {
  /** Lines of a digest (64 hex digits), two spaces and the name of a file. */
  readonly sums: string;
  /** Of exactly those bytes: 64 bytes, none when the list is not signed. */
  readonly signature: Buffer;
}

export interface TarballName {
  readonly version: string;
  /** As Node.js names it. */
  readonly architecture: string;
}

/** The list of digests, as `sha256sum` writes it. */
export const SUMS_FILE = 'SHA256SUMS';
const SIGNATURE_FILE = `${SUMS_FILE}.sig`;

const KEY_ENDING = '.pub';
/** A key has about a hundred bytes, and may have comments around it. */
const MOST_KEY_BYTES = 16_384;
const TAKE_THE_KEY =
  'Take the public key of whoever builds the software, isthmus-release.pub: it lies beside the tarball.';

const TARBALL = /^isthmus-(\d{1,9}\.\d{1,9}\.\d{1,9}(?:-[0-9A-Za-z.-]{1,64})?)-linux-(x64|arm64)\.tar\.gz$/;
/** A line of a list of digests. */
const LISTED = /^([0-9a-f]{64}) {2}(.+)$/;

/** The version and the architecture in `isthmus-1.2.3-linux-x64.tar.gz`; undefined for any other name. */
export function parseTarballName(name: string): TarballName | undefined {
  const [, version, architecture] = TARBALL.exec(name) ?? [];
  return version === undefined || architecture === undefined ? undefined : { version, architecture };
}

/** Signs a list of digests. */
export function signSums(sums: string, privateKey: KeyObject): Buffer {
  return sign(null, Buffer.from(sums), privateKey);
}

/** The signed list in a folder. SOFTWARE_UNSIGNED when the list or its signature is not there. */
export async function readSignedSums(folder: string): Promise<SignedSums> {
  const read = (name: string): Promise<Buffer> =>
    readFile(join(folder, name)).catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
      throw new IsthmusError('SOFTWARE_UNSIGNED', `there is no ${name} in ${folder}`, { cause });
    });
  const sums = await read(SUMS_FILE);
  return { sums: sums.toString(), signature: await read(SIGNATURE_FILE) };
}

/**
 * The key of `trusted` that signed the list. SOFTWARE_KEYS_MISSING when no key is trusted, SOFTWARE_UNSIGNED without a
 * signature, SOFTWARE_SIGNATURE_WRONG when none of the keys made it, or the list has changed since.
 */
export function signingKey({ sums, signature }: SignedSums, trusted: readonly KeyObject[]): KeyObject {
  if (trusted.length === 0) throw new IsthmusError('SOFTWARE_KEYS_MISSING', 'no release key is trusted here');
  if (signature.length === 0) throw new IsthmusError('SOFTWARE_UNSIGNED', `${SUMS_FILE} is not signed`);
  const bytes = Buffer.from(sums);
  const signer = trusted.find((key) => verify(null, bytes, key, signature));
  if (signer !== undefined) return signer;
  const keys = trusted.map(keyFingerprint).join(', ');
  throw new IsthmusError('SOFTWARE_SIGNATURE_WRONG', `${SUMS_FILE} was not signed with the trusted key (${keys})`);
}

/** The SHA-256 of `name` (lower-case hex) by a list that one of the trusted keys signed. As `signingKey`, and as
 * `listedDigest`. */
export function signedDigest(signed: SignedSums, name: string, trusted: readonly KeyObject[]): string {
  signingKey(signed, trusted);
  return listedDigest(signed.sums, name);
}

/**
 * The SHA-256 of `name` (lower-case hex) by a list that nobody has checked. SOFTWARE_NOT_LISTED when it does not have the
 * name, or is no list as `parseSums` reads it.
 */
export function listedDigest(sums: string, name: string): string {
  const listed = parseSums(sums);
  if (listed === undefined) {
    throw new IsthmusError('SOFTWARE_NOT_LISTED', `${SUMS_FILE} is no list that names each file once`);
  }
  const digest = listed.get(name);
  if (digest !== undefined) return digest;
  throw new IsthmusError('SOFTWARE_NOT_LISTED', `${SUMS_FILE} does not name ${name}`);
}

/**
 * The digests of a list as `sha256sum` writes it, by the names of the files. Undefined when a line is none of that, or a
 * name is there twice.
 */
export function parseSums(sums: string): ReadonlyMap<string, string> | undefined {
  const listed = new Map<string, string>();
  for (const line of sums.split('\n').filter((each) => each !== '')) {
    const [, digest, name] = LISTED.exec(line) ?? [];
    if (digest === undefined || name === undefined || listed.has(name)) return undefined;
    listed.set(name, digest);
  }
  return listed;
}

/**
 * The keys in a folder: its files `*.pub`. None when it does not exist. PERMISSIONS_UNSAFE when others than root and this
 * account can change them, CONFIG_INVALID for a file that is no Ed25519 key.
 */
export async function readTrustedKeys(folder: string): Promise<KeyObject[]> {
  checkDataDir(folder);
  const names = await readdir(folder).catch((thrown: unknown) => {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw thrown;
  });
  return Promise.all(
    names
      .filter((name) => name.endsWith(KEY_ENDING))
      .sort()
      .map((name) => readReleaseKey(join(folder, name))),
  );
}

/** The public key in a file (PEM, SPKI). CONFIG_INVALID when it is no Ed25519 key, or no file. */
export async function readReleaseKey(path: string): Promise<KeyObject> {
  const found = await stat(path);
  if (!found.isFile() || found.size > MOST_KEY_BYTES) throw notAKey(`${path} is not the file of a key`);
  const pem = await readFile(path);
  // Of a private key this would make a public one, and nobody would notice that it lies around.
  if (pem.includes('PRIVATE KEY')) {
    const remedy = `Take it off this machine: whoever has it can make software that the mesh installs. ${TAKE_THE_KEY}`;
    throw new IsthmusError('CONFIG_INVALID', `${path} is a private key, which must not be here`, { remedy });
  }
  const key = publicKeyOf(path, pem);
  if (key.asymmetricKeyType !== 'ed25519') throw notAKey(`${path} is not a public Ed25519 key`);
  return key;
}

function publicKeyOf(path: string, pem: Buffer): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw notAKey(`${path} is not a public key`, cause);
  }
}

function notAKey(message: string, cause?: unknown): IsthmusError {
  return new IsthmusError('CONFIG_INVALID', message, { remedy: TAKE_THE_KEY, cause });
}

/** The SHA-256 of a public key in its DER form (SPKI), as lower-case hex. */
export function keyFingerprint(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}
