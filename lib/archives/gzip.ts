// Inflates a gzip file. Some readers take several streams as one file and others the first alone, so that only one may
// have content; after it only padding may follow.
import { open } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { bytesAt, fileSource, type ByteSource } from './byte-source.ts';
import { inflate, newMeter } from './inflate.ts';

const FIXED_HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
/** Names and comments of a header are short; a longer one is no packer's. */
const LARGEST_HEADER_BYTES = 128 * 1024;
const READ_BYTES = 256 * 1024;

const FLAG = { headerCrc: 2, extra: 4, name: 8, comment: 16, reserved: 0xe0 };

/** The content of a gzip file; PACKAGE_FORMAT when it is damaged, not whole, or more than one file. */
export async function* inflateGzip(source: ByteSource): AsyncGenerator<Buffer> {
  let at = yield* streamAt(source, 0);
  for (at = await skipPadding(source, at); at < source.sizeBytes; at = await skipPadding(source, at)) {
    at = await skipEmptyStream(source, at);
  }
}

/** As `inflateGzip`, of a whole file. */
export async function* inflateGzipFile(path: string): AsyncGenerator<Buffer> {
  const file = await open(path, 'r');
  try {
    yield* inflateGzip(fileSource(file, (await file.stat()).size));
  } finally {
    await file.close();
  }
}

/** Gives out one stream; returns where it ends. */
async function* streamAt(source: ByteSource, from: number): AsyncGenerator<Buffer, number> {
  const meter = newMeter();
  const start = from + (await headerBytes(source, from));
  yield* inflate(source, { start, end: source.sizeBytes }, meter);
  const end = start + meter.takenBytes + TRAILER_BYTES;
  const trailer = await bytesAt(source, end - TRAILER_BYTES, TRAILER_BYTES);
  if (trailer.length < TRAILER_BYTES) throw damaged('it is cut short');
  if (trailer.readUInt32LE(0) !== meter.crc32) throw damaged('its checksum is that of other content');
  if (trailer.readUInt32LE(4) !== meter.bytes % 2 ** 32) throw damaged('its content has another size than it claims');
  return end;
}

async function skipEmptyStream(source: ByteSource, from: number): Promise<number> {
  if (!isGzip(await bytesAt(source, from, 2))) throw damaged('other bytes follow its end');
  const reading = streamAt(source, from);
  for (let next = await reading.next(); ; next = await reading.next()) {
    if (next.done === true) return next.value;
    await reading.return(0);
    throw damaged('it has several streams with content: pack it as one');
  }
}

/** Where the zeros that begin at `from` end: some writers fill up blocks. */
async function skipPadding(source: ByteSource, from: number): Promise<number> {
  for (let at = from; at < source.sizeBytes;) {
    const bytes = await bytesAt(source, at, READ_BYTES);
    const content = bytes.findIndex((byte) => byte !== 0);
    if (content !== -1) return at + content;
    if (bytes.length === 0) break;
    at += bytes.length;
  }
  return source.sizeBytes;
}

/** The length of the header at `from`; PACKAGE_FORMAT when there is none. */
export async function headerBytes(source: ByteSource, from: number): Promise<number> {
  const bytes = await bytesAt(source, from, LARGEST_HEADER_BYTES);
  if (!isGzip(bytes)) throw new IsthmusError('PACKAGE_FORMAT', 'this is not a tar.gz archive: it is not a gzip');
  const flags = bytes.length < FIXED_HEADER_BYTES || bytes[2] !== 8 ? FLAG.reserved : bytes[3]!;
  if ((flags & FLAG.reserved) !== 0) throw damaged('its header is damaged');
  let at = FIXED_HEADER_BYTES;
  if ((flags & FLAG.extra) !== 0) at += 2 + (at + 2 <= bytes.length ? bytes.readUInt16LE(at) : bytes.length);
  for (const text of [FLAG.name, FLAG.comment]) {
    if ((flags & text) !== 0) at = textEnd(bytes, at);
  }
  if ((flags & FLAG.headerCrc) !== 0) at += 2;
  if (at > bytes.length) throw damaged('its header is cut short or too long');
  return at;
}

function textEnd(bytes: Buffer, from: number): number {
  const zero = bytes.indexOf(0, from);
  return zero === -1 ? bytes.length + 1 : zero + 1;
}

function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

function damaged(why: string): IsthmusError {
  return new IsthmusError('PACKAGE_FORMAT', `the gzip is damaged or not whole: ${why}`);
}
