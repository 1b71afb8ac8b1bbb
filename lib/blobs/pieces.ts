// Joins what arrives on a stream into larger pieces. A piece costs its receiver a write, and each follower of the file a
// read and a record of TLS: over a long line, chunks of 16 KiB cost a mirror with many targets most of its time.
import { finished, type Readable } from 'node:stream';

const PIECE_BYTES = 256 * 1024;
/** The longest time that a byte waits for others. */
const WITHIN_MS = 20;

/** The bytes of a stream, in pieces. Those that came before an error are given out before it is thrown. */
export async function* piecesOf(stream: Readable): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = [];
  let bytes = 0;
  let isDue = false;
  let end: { readonly error: Error | undefined } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let wake = (): void => undefined;
  const due = (): void => {
    isDue = true;
    wake();
  };
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= 2 * PIECE_BYTES) stream.pause();
    if (bytes >= PIECE_BYTES) due();
    else timer ??= setTimeout(due, WITHIN_MS);
  });
  const forget = finished(stream, { writable: false }, (error) => {
    end = { error: error ?? undefined };
    due();
  });
  try {
    for (;;) {
      while (!isDue) await new Promise<void>((resolve) => (wake = resolve));
      clearTimeout(timer);
      const piece = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes);
      [chunks, bytes, timer, isDue] = [[], 0, undefined, end !== undefined];
      if (piece.length > 0) yield piece;
      else if (end !== undefined) break;
      stream.resume();
    }
    if (end.error !== undefined) throw end.error;
  } finally {
    forget();
    clearTimeout(timer);
  }
}
