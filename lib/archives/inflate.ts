// Reads a part of a file, as it is or inflated, and measures it: what holds the bytes claims the same of them.
import { Readable } from 'node:stream';
import { crc32, createInflateRaw } from 'node:zlib';
import type { ByteSource } from './byte-source.ts';

const READ_BYTES = 256 * 1024;

/** From `start` up to `end`. */
export interface FilePart {
  readonly start: number;
  readonly end: number;
}

export interface Meter {
  /** How many bytes of the file were needed. */
  takenBytes: number;
  /** How many bytes came out, and their CRC-32. */
  bytes: number;
  crc32: number;
}

/** A meter of nothing. */
export function newMeter(): Meter {
  return { takenBytes: 0, bytes: 0, crc32: 0 };
}

/** The bytes of a part, as they are. */
export async function* readStored(source: ByteSource, part: FilePart, meter: Meter): AsyncGenerator<Buffer> {
  for await (const chunk of readPart(source, part)) {
    measure(meter, chunk);
    meter.takenBytes += chunk.length;
    yield chunk;
  }
}

/** Inflates a part up to where its deflated bytes end; throws when they are damaged or not whole. */
export async function* inflate(source: ByteSource, part: FilePart, meter: Meter): AsyncGenerator<Buffer> {
  const deflated = Readable.from(readPart(source, part), { objectMode: false, highWaterMark: READ_BYTES });
  const inflated = createInflateRaw({ chunkSize: chunkBytes(part) });
  deflated.on('error', (error) => inflated.destroy(error));
  try {
    for await (const chunk of deflated.pipe(inflated) as AsyncIterable<Buffer>) {
      measure(meter, chunk);
      yield chunk;
    }
    meter.takenBytes += inflated.bytesWritten;
  } finally {
    deflated.destroy();
    inflated.destroy();
  }
}

/** A buffer of the full size for each of many small files would cost more than inflating them. */
function chunkBytes({ start, end }: FilePart): number {
  return Math.max(1024, Math.min(READ_BYTES, 4 * (end - start)));
}

async function* readPart(source: ByteSource, { start, end }: FilePart): AsyncGenerator<Buffer> {
  for (let position = start; position < end;) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, end - position));
    const got = await source.read(position, buffer);
    if (got === 0) return;
    position += got;
    yield buffer.subarray(0, got);
  }
}

function measure(meter: Meter, chunk: Buffer): void {
  meter.bytes += chunk.length;
  meter.crc32 = crc32(chunk, meter.crc32);
}
