// SHA-256 digests, which name everything stored; computed while bytes are streamed.
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const SHA256_HEX = /^[0-9a-f]{64}$/;

/** Whether `text` is a SHA-256 digest in the form that names a blob: 64 lower-case hex digits. */
export function isSha256(text: string): boolean {
  return SHA256_HEX.test(text);
}

/** Counts and digests bytes in order. */
export class DigestMeter {
  readonly #hash: Hash;
  #bytes = 0;

  constructor(copyOf?: DigestMeter) {
    this.#hash = copyOf === undefined ? createHash('sha256') : copyOf.#hash.copy();
    this.#bytes = copyOf === undefined ? 0 : copyOf.#bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  update(chunk: Uint8Array): void {
    this.#hash.update(chunk);
    this.#bytes += chunk.length;
  }

  /** The digest of the bytes so far; more may follow. */
  sha256(): string {
    return this.#hash.copy().digest('hex');
  }
}

const READ_BYTES = 1024 * 1024;

/** Digests an open file from its beginning to its end. */
export async function digestFile(file: FileHandle): Promise<DigestMeter> {
  const meter = new DigestMeter();
  const buffer = Buffer.allocUnsafe(READ_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, meter.bytes);
    if (bytesRead === 0) return meter;
    meter.update(buffer.subarray(0, bytesRead));
  }
}
