// Encrypts backups: scrypt derives a key from the passphrase, AES-256-GCM encrypts segments, so that a file of any size
// streams and yet no unauthenticated byte comes out. A segment's nonce holds its number and whether it is the last one,
// so that segments cannot be cut off, swapped or repeated.
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { IsthmusError } from '../../contract/errors.ts';

const MAGIC = Buffer.from('isthmus backup 1\n');
const SALT_BYTES = 16;
const SEGMENT_BYTES = 64 * 1024;
const TAG_BYTES = 16;

/** About 0.3 s and 128 MiB per guess. */
const SCRYPT_COST = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };

type Transform = (source: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>;

/** A pipeline step from clear to encrypted. */
export function encryptStream(passphrase: Buffer): Transform {
  return async function* (source) {
    const salt = randomBytes(SALT_BYTES);
    const key = await deriveKey(passphrase, salt);
    yield Buffer.concat([MAGIC, salt]);
    let number = 0;
    for await (const { segment, last } of segments(source, SEGMENT_BYTES)) {
      const cipher = createCipheriv('aes-256-gcm', key, nonce(number, last));
      yield Buffer.concat([cipher.update(segment), cipher.final(), cipher.getAuthTag()]);
      number += 1;
    }
  };
}

/** A pipeline step from encrypted to clear. Throws BACKUP_INVALID at the first segment that was changed. */
export function decryptStream(passphrase: Buffer): Transform {
  return async function* (source) {
    const reader = new Reader(source);
    const head = await reader.take(MAGIC.length + SALT_BYTES);
    if (!head.subarray(0, MAGIC.length).equals(MAGIC)) throw invalid('this is not a backup of Isthmus');
    if (head.length < MAGIC.length + SALT_BYTES) throw invalid('the backup was cut short');
    const key = await deriveKey(passphrase, head.subarray(MAGIC.length));
    let number = 0;
    for await (const { segment, last } of segments(reader.rest(), SEGMENT_BYTES + TAG_BYTES)) {
      yield openSegment(key, segment, nonce(number, last));
      number += 1;
    }
  };
}

function openSegment(key: Buffer, segment: Buffer, iv: Buffer): Buffer {
  if (segment.length < TAG_BYTES) throw invalid('the backup was cut short');
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(segment.subarray(segment.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(segment.subarray(0, segment.length - TAG_BYTES)), decipher.final()]);
  } catch {
    throw invalid('the passphrase is wrong, or the backup was changed');
  }
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('BACKUP_INVALID', reason);
}

function nonce(number: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(number, 5, 6);
  bytes[11] = last ? 1 : 0;
  return bytes;
}

async function deriveKey(passphrase: Buffer, salt: Buffer): Promise<Buffer> {
  const derive = promisify<Buffer, Buffer, number, object, Buffer>(scrypt);
  return derive(passphrase, salt, 32, SCRYPT_COST);
}

/** Cuts a stream into segments of one size; only the last may be smaller. There is always a last one. */
async function* segments(
  source: AsyncIterable<Buffer>,
  size: number,
): AsyncGenerator<{ segment: Buffer; last: boolean }> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    // Hold back what may be the last segment until more comes.
    while (held.length > size) {
      yield { segment: held.subarray(0, size), last: false };
      held = held.subarray(size);
    }
  }
  yield { segment: held, last: true };
}

/** Reads a header of known length off a stream, then the rest. */
class Reader {
  readonly #source: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** At most `length` bytes; fewer only at the end. */
  async take(length: number): Promise<Buffer> {
    while (this.#held.length < length) {
      const next = await this.#source.next();
      if (next.done === true) break;
      this.#held = Buffer.concat([this.#held, next.value]);
    }
    const taken = this.#held.subarray(0, length);
    this.#held = this.#held.subarray(length);
    return taken;
  }

  async *rest(): AsyncGenerator<Buffer> {
    if (this.#held.length > 0) yield this.#held;
    for (let next = await this.#source.next(); next.done !== true; next = await this.#source.next()) yield next.value;
  }
}
