// Copies a blob into a response with reused buffers: a stream of fresh chunks costs twice the CPU.
import type { ServerResponse } from 'node:http';
import { IsthmusError } from '../../contract/errors.ts';

/** A blob being served; it may still be growing. */
export interface BlobBody {
  readonly sizeBytes: number;
  /** Reads at a position, waiting for bytes that have not arrived; 0 only at the end. Positions only rise. */
  read(position: number, buffer: Buffer): Promise<number>;
  close(): Promise<void>;
}

const BUFFER_BYTES = 512 * 1024;
const KEPT_BUFFERS = 16;
const POOL: Buffer[] = [];

/** Writes the bytes from `from` up to `to`; resolves when they are written out, throws when they cannot be. */
export async function pump(body: BlobBody, response: ServerResponse, from: number, to: number): Promise<void> {
  const buffer = POOL.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let written = true;
  try {
    for (let position = from; position < to;) {
      const want = Math.min(buffer.length, to - position);
      const got = await body.read(position, buffer.subarray(0, want));
      if (got === 0) throw new IsthmusError('INTERNAL', `the blob ended at ${position}, before ${to}`);
      written = false;
      await write(response, buffer.subarray(0, got));
      written = true;
      position += got;
    }
  } finally {
    // A buffer that a failed write may still read from is not reused.
    if (written && POOL.length < KEPT_BUFFERS) POOL.push(buffer);
  }
}

/** Resolves when the chunk is written out: only then may its memory be reused. */
function write(response: ServerResponse, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = () => reject(new IsthmusError('CANCELLED', 'the requester has gone'));
    if (response.destroyed) return gone();
    response.once('close', gone);
    response.write(chunk, (error) => {
      response.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  });
}
