// Where an archive's bytes are read from: a file on the disk, or one that is still being received.
import type { FileHandle } from 'node:fs/promises';

export interface ByteSource {
  readonly sizeBytes: number;
  /** Reads at a position, waiting for bytes that have not arrived; 0 only at the end. */
  read(position: number, buffer: Buffer): Promise<number>;
}

/** The bytes of an open file. */
export function fileSource(file: FileHandle, sizeBytes: number): ByteSource {
  return {
    sizeBytes,
    read: async (position, buffer) => (await file.read({ buffer, position })).bytesRead,
  };
}

/** As many bytes at a position as there are, `length` at most. */
export async function bytesAt(source: ByteSource, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, Math.min(length, source.sizeBytes - position)));
  for (let filled = 0; filled < buffer.length;) {
    const got = await source.read(position + filled, buffer.subarray(filled));
    if (got === 0) return buffer.subarray(0, filled);
    filled += got;
  }
  return buffer;
}
