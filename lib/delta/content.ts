// What a delta is made of: the bytes of a file, or those inside a gzip. A change moves every byte of a gzip behind it,
// but few of those inside.
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { inflateGzipFile } from '../archives/gzip.ts';

export interface Content {
  readonly path: string;
  /** Whether the bytes inside the gzip are meant. */
  readonly inflated: boolean;
}

const READ_BYTES = 1024 * 1024;
/** At the end of a gzip. */
const SIZE_BYTES = 4;

/** The bytes in order. */
export function streamContent({ path, inflated }: Content): AsyncIterable<Buffer> {
  return inflated ? inflateGzipFile(path) : createReadStream(path, { highWaterMark: READ_BYTES });
}

/** How many bytes there are. A gzip claims it: whoever reads the content finds out. */
export async function contentBytes({ path, inflated }: Content): Promise<number> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (!inflated) return size;
    const { buffer, bytesRead } = await file.read(
      Buffer.alloc(SIZE_BYTES),
      0,
      SIZE_BYTES,
      Math.max(0, size - SIZE_BYTES),
    );
    if (bytesRead < SIZE_BYTES) throw new IsthmusError('PACKAGE_FORMAT', 'the gzip is cut short');
    return buffer.readUInt32LE();
  } finally {
    await file.close();
  }
}

/** All bytes at once. PACKAGE_BOMB when there are others than `sizeBytes`. */
export async function readContent(content: Content, sizeBytes: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.from(new ArrayBuffer(sizeBytes));
  let at = 0;
  for await (const chunk of streamContent(content)) {
    if (at + chunk.length > sizeBytes) throw otherSize(sizeBytes);
    at += chunk.copy(bytes, at);
  }
  if (at < sizeBytes) throw otherSize(sizeBytes);
  return bytes;
}

function otherSize(sizeBytes: number): IsthmusError {
  return new IsthmusError('PACKAGE_BOMB', `the content has another size than the ${sizeBytes} bytes that it claims`);
}
