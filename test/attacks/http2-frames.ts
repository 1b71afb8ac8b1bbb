// HTTP/2 frames written by hand, to send what no client library sends.
import type { Duplex } from 'node:stream';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const longestShortText = 126;

/** Frame types, flags, the setting and the error code of RFC 9113. */
export const frameType = {
  ...{ data: 0, headers: 1, priority: 2, reset: 3, settings: 4, push: 5, ping: 6 },
  ...{ windowUpdate: 8, continuation: 9, altSvc: 10, origin: 12 },
} as const;
export const flag = { endStream: 1, endHeaders: 4, padded: 8 } as const;
const initialWindowSize = 4;
const cancelled = 8;

/** One frame on a stream; 0 is the connection. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A literal header field, which does not enter the decoder's table. */
export function field(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

/** The head of a gRPC call. */
export function callHead(path: string): Buffer {
  return Buffer.concat([
    field(':method', 'POST'),
    field(':scheme', 'http'),
    field(':path', path),
    field(':authority', 'isthmus'),
    field('content-type', 'application/grpc'),
    field('te', 'trailers'),
  ]);
}

/** A gRPC message, uncompressed. */
export function message(payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

export function reset(stream: number): Buffer {
  const code = Buffer.alloc(4);
  code.writeUInt32BE(cancelled);
  return frame(frameType.reset, 0, stream, code);
}

const framesPerChunk = 100;

/** Frames made so often, in chunks. */
export function* repeated(times: number, make: (i: number) => Buffer[]): Generator<Buffer> {
  for (let i = 0; i < times; i += framesPerChunk) {
    yield Buffer.concat(Array.from({ length: framesPerChunk }, (_, j) => make(i + j)).flat());
  }
}

/** The start of a connection. It never acknowledges the peer's settings. */
export const opening = Buffer.concat([preface, frame(frameType.settings, 0, 0)]);

/** SETTINGS after which no stream accepts a byte. */
export const noWindows = frame(frameType.settings, 0, 0, Buffer.from([0, initialWindowSize, 0, 0, 0, 0]));

/** Writes chunk after chunk as the peer reads them; resolves when all is written or the connection has closed. */
export async function pour(to: Duplex, chunks: Iterable<Uint8Array>): Promise<void> {
  for (const chunk of chunks) {
    if (to.destroyed || !to.writable) return;
    if (!to.write(chunk)) await drained(to);
  }
}

function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('drain', done).off('close', done);
      resolve();
    };
    stream.on('drain', done).on('close', done);
  });
}

/** An HPACK string, not Huffman-coded. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length <= longestShortText) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [longestShortText + 1];
  let rest = bytes.length - longestShortText - 1;
  for (; rest > 0x7f; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}
