// Copies a blob into a response with reused buffers: a stream of fresh chunks costs twice the CPU.
//
// While a mirror waits for its own source it says that it is there: before the first byte by a status 102, later by one
// of a few bytes that it holds back for this. Its targets then know it from a path that carries nothing any more.
import type { ServerResponse } from 'node:http';
import { IsthmusError } from '../../contract/errors.ts';
import { within } from '../async/deadline.ts';
import { pause } from '../async/waiting.ts';
import type { ByteRange } from './ranges.ts';

interface Pumping extends ByteRange {
  readonly signOfLifeMs: number;
  /** Called when there are bytes to send. */
  readonly writeHead: () => void;
}

/** A blob being served. */
export interface BlobBody {
  readonly sizeBytes: number;
  /** Whether its bytes are still being fetched. */
  readonly isGrowing: boolean;
  /** Reads at a position, waiting for bytes that have not arrived; 0 only at the end. Positions only rise. */
  read(position: number, buffer: Buffer): Promise<number>;
  close(): Promise<void>;
}

/** Half of it costs a tenth more processor time for each byte, an eighth of it twice as much. */
const BUFFER_BYTES = 1024 * 1024;
const KEPT_BUFFERS = 16;
const POOL: Buffer[] = [];
/** Signs of life for a minute and more. */
const HELD_BACK_BYTES = 32;
/** A requester that takes less holds a place that another may need; it resumes where it was cut. */
const SLOWEST_REQUESTER = { bytesPerMs: 2, atLeastMs: 60_000 };

/** Writes the head and the bytes of the range; resolves when they are written out, throws when they cannot be. */
export async function pump(
  body: BlobBody,
  response: ServerResponse,
  { from, to, signOfLifeMs, writeHead }: Pumping,
): Promise<void> {
  const buffer = POOL.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  let isWritten = true;
  // The part of the buffer that was read and is not written.
  let [start, end] = [0, 0];
  const sign = (): void => {
    if (!response.headersSent) return response.writeProcessing();
    if (start < end) response.write(Buffer.from(buffer.subarray(start, (start += 1))));
  };
  try {
    for (let position = from; position < to;) {
      const want = Math.min(buffer.length - end, to - position);
      const reading = body.read(position, buffer.subarray(end, end + want));
      const got = await (body.isGrowing ? whileWaiting(reading, response, { signOfLifeMs, sign }) : reading);
      if (got === 0) throw new IsthmusError('INTERNAL', `the blob ended at ${position}, before ${to}`);
      [position, end] = [position + got, end + got];
      if (!response.headersSent) writeHead();
      const until = body.isGrowing && position < to ? Math.max(start, end - HELD_BACK_BYTES) : end;
      isWritten = false;
      if (start < until) await write(response, buffer.subarray(start, until));
      isWritten = true;
      buffer.copyWithin(0, until, end);
      [start, end] = [0, end - until];
    }
  } finally {
    // A buffer that a failed write may still read from is not reused.
    if (isWritten && POOL.length < KEPT_BUFFERS) POOL.push(buffer);
  }
}

/** The result of `work`; calls `sign` now and then until it is there. */
export async function whileWaiting<Result>(
  work: Promise<Result>,
  response: ServerResponse,
  { signOfLifeMs, sign }: { readonly signOfLifeMs: number; readonly sign: () => void },
): Promise<Result> {
  const over = new AbortController();
  const end = () => over.abort();
  work.then(end, end);
  for (;;) {
    await pause(signOfLifeMs, over.signal);
    if (over.signal.aborted) return work;
    if (!response.destroyed) sign();
  }
}

/** Resolves when the chunk is written out: only then may its memory be reused. */
function write(response: ServerResponse, chunk: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const gone = () => reject(new IsthmusError('CANCELLED', 'the requester has gone'));
  if (response.destroyed) gone();
  else {
    response.once('close', gone);
    response.write(chunk, (error) => {
      response.off('close', gone);
      if (error) reject(error);
      else resolve();
    });
  }
  const ms = Math.max(SLOWEST_REQUESTER.atLeastMs, chunk.length / SLOWEST_REQUESTER.bytesPerMs);
  return within(promise, { ms, late: () => new IsthmusError('CANCELLED', 'the requester takes too little') });
}
