// How a gzip was made: with the recipe, what is inside gives the very same file again. It is proved by doing it. Another
// build of zlib may deflate otherwise, so that whoever uses a recipe checks the digest.
import { open, type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { crc32, createDeflateRaw } from 'node:zlib';
import { fileSource } from '../archives/byte-source.ts';
import { headerBytes, inflateGzipFile } from '../archives/gzip.ts';

export interface GzipRecipe {
  readonly level: number;
  readonly memLevel: number;
  /** The header, with what it says of name and time: base64. */
  readonly header: string;
}

/** Levels that packers take, the most usual first. */
const LEVELS = [9, 6, 1, 5, 7, 8, 4, 3, 2];
const MEM_LEVELS = [8, 9];
/** Longer ones carry more than a name. */
const LONGEST_HEADER_BYTES = 1024;
const TRAILER_BYTES = 8;

/** Packs the content as the recipe says. */
export async function* gzipByRecipe(
  content: AsyncIterable<Buffer>,
  { level, memLevel, header }: GzipRecipe,
): AsyncGenerator<Buffer> {
  yield Buffer.from(header, 'base64');
  const measured = { bytes: 0, crc: 0 };
  const input = Readable.from(measure(content, measured), { objectMode: false });
  const deflate = createDeflateRaw({ level, memLevel });
  input.on('error', (error) => deflate.destroy(error));
  try {
    yield* input.pipe(deflate) as AsyncIterable<Buffer>;
  } finally {
    input.destroy();
    deflate.destroy();
  }
  const trailer = Buffer.alloc(TRAILER_BYTES);
  trailer.writeUInt32LE(measured.crc, 0);
  trailer.writeUInt32LE(measured.bytes % 2 ** 32, 4);
  yield trailer;
}

/** The recipe of a gzip; null when none gives the same bytes. Most wrong ones end within the first block. */
export async function findGzipRecipe(path: string, signal: AbortSignal): Promise<GzipRecipe | null> {
  const file = await open(path, 'r');
  try {
    const length = await headerBytes(fileSource(file, (await file.stat()).size), 0);
    if (length > LONGEST_HEADER_BYTES) return null;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, 0);
    const header = buffer.toString('base64');
    for (const memLevel of MEM_LEVELS) {
      for (const level of LEVELS) {
        const recipe = { level, memLevel, header };
        if (await isSame(file, gzipByRecipe(inflateGzipFile(path), recipe), signal)) return recipe;
      }
    }
    return null;
  } finally {
    await file.close();
  }
}

async function isSame(file: FileHandle, packed: AsyncIterable<Buffer>, signal: AbortSignal): Promise<boolean> {
  let position = 0;
  for await (const chunk of packed) {
    signal.throwIfAborted();
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(chunk.length), 0, chunk.length, position);
    if (bytesRead < chunk.length || !buffer.equals(chunk)) return false;
    position += chunk.length;
  }
  return position === (await file.stat()).size;
}

async function* measure(
  content: AsyncIterable<Buffer>,
  measured: { bytes: number; crc: number },
): AsyncGenerator<Buffer> {
  for await (const chunk of content) {
    measured.bytes += chunk.length;
    measured.crc = crc32(chunk, measured.crc);
    yield chunk;
  }
}
