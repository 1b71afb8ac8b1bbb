// Encrypts secrets at rest: AES-256-GCM under the master key, with the row's identity as associated data, so that a sealed
// value does not open in another row. The master key is a 0600 file; a sealed check value beside the data shows whether it
// is the right one. A wrong or missing key is rejected; only `createMasterKey` creates one.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeDurably } from '../files/durable.ts';
import { readSecret } from '../files/private.ts';
import { IsthmusError } from '../../contract/errors.ts';

const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX = 'sealed1.';
const CHECK_IDENTITY = 'isthmus master key check';

/** Seals and opens values under one key. */
export class Sealer {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    if (key.length !== KEY_BYTES) throw new IsthmusError('MASTER_KEY_WRONG', `a key has ${KEY_BYTES} bytes`);
    this.#key = key;
  }

  /** The sealed form of `plain`; `identity` names where it is stored, such as `variables/<id>/value`. */
  seal(plain: string | Buffer, identity: string): string {
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(identity));
    const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    return PREFIX + sealed.toString('base64url');
  }

  /** Opens a value sealed for `identity`. DECRYPT_FAILED when it was changed, moved, or sealed under another key. */
  open(sealed: string, identity: string): Buffer {
    const bytes = Buffer.from(sealed.startsWith(PREFIX) ? sealed.slice(PREFIX.length) : '', 'base64url');
    if (bytes.length < IV_BYTES + TAG_BYTES)
      throw new IsthmusError('DECRYPT_FAILED', `${identity} is not a sealed value`);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(identity));
    decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
    } catch {
      throw new IsthmusError('DECRYPT_FAILED', `${identity} does not open under this master key`);
    }
  }

  /** As `open`, for text. */
  openText(sealed: string, identity: string): string {
    return this.open(sealed, identity).toString('utf8');
  }
}

interface MasterKeyLocation {
  readonly dataDir: string;
  /** The key file, when it is not `<dataDir>/master.key`. */
  readonly keyFile?: string | undefined;
}

/** Creates the master key of a new data folder. An existing key file is used; an existing check value must match it. */
export function createMasterKey(location: MasterKeyLocation): Sealer {
  const { keyFile, checkFile } = paths(location);
  if (existsSync(checkFile)) return openMasterKey(location);
  if (!existsSync(keyFile)) writeDurably(keyFile, `${randomBytes(KEY_BYTES).toString('base64')}\n`);
  const sealer = new Sealer(readKey(keyFile, { shared: location.keyFile !== undefined }));
  writeDurably(checkFile, `${sealer.seal(CHECK_IDENTITY, CHECK_IDENTITY)}\n`);
  return sealer;
}

/** Opens the master key of a data folder; MASTER_KEY_MISSING or MASTER_KEY_WRONG on failure. Creates nothing. */
export function openMasterKey(location: MasterKeyLocation): Sealer {
  const { keyFile, checkFile } = paths(location);
  if (!existsSync(keyFile)) throw new IsthmusError('MASTER_KEY_MISSING', `there is no master key at ${keyFile}`);
  const sealer = new Sealer(readKey(keyFile, { shared: location.keyFile !== undefined }));
  if (!existsSync(checkFile)) throw new IsthmusError('MASTER_KEY_WRONG', `${checkFile} is missing`);
  try {
    sealer.open(readFileSync(checkFile, 'utf8').trim(), CHECK_IDENTITY);
  } catch (thrown) {
    throw new IsthmusError('MASTER_KEY_WRONG', `the key at ${keyFile} is not the one this data was sealed under`, {
      cause: thrown,
    });
  }
  return sealer;
}

function paths({ dataDir, keyFile }: MasterKeyLocation): { keyFile: string; checkFile: string } {
  return { keyFile: keyFile ?? join(dataDir, 'master.key'), checkFile: join(dataDir, 'master.check') };
}

function readKeyText(keyFile: string, shared: boolean): string {
  try {
    return readSecret(keyFile, { shared }).toString();
  } catch (cause) {
    if (cause instanceof IsthmusError) throw cause;
    throw new IsthmusError('MASTER_KEY_MISSING', `the master key at ${keyFile} cannot be read`, { cause });
  }
}

function readKey(keyFile: string, { shared }: { readonly shared: boolean }): Buffer {
  const key = Buffer.from(readKeyText(keyFile, shared).trim(), 'base64');
  if (key.length !== KEY_BYTES) {
    throw new IsthmusError('MASTER_KEY_WRONG', `${keyFile} does not hold ${KEY_BYTES} bytes in base64`);
  }
  return key;
}
