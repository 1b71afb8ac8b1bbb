// The first messages of a bulk, enrol or end-to-end stream: four bytes of length, then the message. The bytes after
// them stay in the stream for its next reader.
import type { Readable } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';

/** A preface names at most eight relays and two endpoints, which is far less. */
const MAX_FRAME_BYTES = 16 * 1024;

/** Prepends the length. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(4 + message.length);
  frame.writeUInt32BE(message.length, 0);
  frame.set(message, 4);
  return frame;
}

/** Reads one message. The stream must have no other reader. A caller with a deadline destroys the stream. */
export function readFrame(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let length: number | undefined;
    const stop = () => {
      stream.off('readable', onReadable).off('end', onEnd).off('close', onEnd).off('error', onError);
    };
    const onEnd = () => {
      stop();
      reject(new IsthmusError('UNREACHABLE', 'the connection ended before its first message'));
    };
    const onError = (error: Error) => {
      stop();
      reject(IsthmusError.from(error, 'UNREACHABLE'));
    };
    const onReadable = () => {
      length ??= (stream.read(4) as Buffer | null)?.readUInt32BE(0);
      if (length === undefined) return;
      if (length > MAX_FRAME_BYTES) {
        stop();
        reject(
          new IsthmusError('PROTOCOL', `a first message of ${length} bytes is over the limit of ${MAX_FRAME_BYTES}`),
        );
        return;
      }
      const message = length === 0 ? Buffer.alloc(0) : (stream.read(length) as Buffer | null);
      if (message === null) return;
      stop();
      resolve(message);
    };
    if (stream.destroyed || stream.readableEnded) {
      onEnd();
      return;
    }
    stream.on('readable', onReadable).on('end', onEnd).on('close', onEnd).on('error', onError);
    onReadable();
  });
}
