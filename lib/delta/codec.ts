// Deltas by Node's own zstd: the version that is there is the dictionary, so that a patch is a plain zstd frame that
// refers to it. Whole content of the base is held in memory, twice while it is loaded; the rest is streamed.
import { Readable, type Transform } from 'node:stream';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { IsthmusError } from '../../contract/errors.ts';
import { hashLogOf, isAffordable, isAllowed, windowLogOf, type DeltaSizes } from './bounds.ts';
import { contentBytes, readContent, streamContent, type Content } from './content.ts';

interface Encoding {
  readonly kind: 'encode';
  readonly base: Content;
  readonly target: Content;
  /** A patch that would be larger is not finished: BODY_TOO_LARGE. */
  readonly mostBytes: number;
}

interface Decoding {
  readonly kind: 'decode';
  readonly base: Content;
  /** The file of the patch. */
  readonly patch: string;
  /** The size that the target is known to have, whatever the patch claims. */
  readonly targetBytes: number;
}

export type DeltaJob = Encoding | Decoding;

/** The lowest whose search finds most of a dictionary. */
const LEVEL = 6;
const CHUNK_BYTES = 1024 * 1024;

/**
 * The bytes of the patch, or of the target. BODY_TOO_LARGE for content that is too large, or a patch that would be;
 * RESOURCE_EXHAUSTED while there is too little memory; PACKAGE_FORMAT for a patch that is damaged or made for another base; PACKAGE_BOMB for one that claims more than the
 * target has.
 */
export function runCodec(job: DeltaJob): AsyncGenerator<Buffer> {
  return job.kind === 'encode' ? encode(job) : decode(job);
}

async function* encode({ base, target, mostBytes }: Encoding): AsyncGenerator<Buffer> {
  const sizes = affordable(await contentBytes(base), await contentBytes(target));
  const params = {
    [constants.ZSTD_c_compressionLevel]: LEVEL,
    [constants.ZSTD_c_windowLog]: windowLogOf(sizes),
    [constants.ZSTD_c_hashLog]: hashLogOf(sizes),
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  const compressor = await withDictionary(base, sizes, (dictionary) =>
    createZstdCompress({ dictionary, params, pledgedSrcSize: sizes.targetBytes, chunkSize: CHUNK_BYTES }),
  );
  let bytes = 0;
  for await (const chunk of through(streamContent(target), compressor)) {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw new IsthmusError('BODY_TOO_LARGE', `the delta has more than ${mostBytes} bytes`);
    }
    yield chunk;
  }
}

async function* decode({ base, patch, targetBytes }: Decoding): AsyncGenerator<Buffer> {
  const sizes = affordable(await contentBytes(base), targetBytes);
  const params = { [constants.ZSTD_d_windowLogMax]: windowLogOf(sizes) };
  const decompressor = await withDictionary(base, sizes, (dictionary) =>
    createZstdDecompress({ dictionary, params, chunkSize: CHUNK_BYTES }),
  );
  let bytes = 0;
  try {
    for await (const chunk of through(streamContent({ path: patch, inflated: false }), decompressor)) {
      bytes += chunk.length;
      if (bytes > targetBytes) throw tooMuch(targetBytes);
      yield chunk;
    }
  } catch (thrown) {
    throw decodeError(thrown, targetBytes);
  }
  if (bytes < targetBytes) throw new IsthmusError('PACKAGE_FORMAT', `the patch ends after ${bytes} bytes`);
}

function affordable(baseBytes: number, targetBytes: number): DeltaSizes {
  const sizes = { baseBytes, targetBytes };
  const what = `a delta of ${baseBytes} and ${targetBytes} bytes`;
  if (!isAllowed(sizes)) throw new IsthmusError('BODY_TOO_LARGE', `${what} is too large`);
  if (!isAffordable(sizes)) throw new IsthmusError('RESOURCE_EXHAUSTED', `${what} takes too much memory now`);
  return sizes;
}

/** Zstd copies its dictionary: the memory of ours is given back at once. */
async function withDictionary(
  base: Content,
  { baseBytes }: DeltaSizes,
  create: (dictionary: Buffer) => Transform,
): Promise<Transform> {
  const dictionary = await readContent(base, baseBytes);
  const stream = create(dictionary);
  dictionary.buffer.transfer(0);
  return stream;
}

async function* through(source: AsyncIterable<Buffer>, transform: Transform): AsyncGenerator<Buffer> {
  const input = Readable.from(source, { objectMode: false });
  input.on('error', (error) => transform.destroy(error));
  try {
    yield* input.pipe(transform) as AsyncIterable<Buffer>;
  } finally {
    input.destroy();
    transform.destroy();
  }
}

function decodeError(thrown: unknown, targetBytes: number): unknown {
  if (!(thrown instanceof Error) || thrown instanceof IsthmusError || 'syscall' in thrown) return thrown;
  if ('code' in thrown && thrown.code === 'ZSTD_error_frameParameter_windowTooLarge') return tooMuch(targetBytes);
  const what = `the patch is damaged, or made for another version: ${thrown.message}`;
  return new IsthmusError('PACKAGE_FORMAT', what, { cause: thrown });
}

function tooMuch(targetBytes: number): IsthmusError {
  return new IsthmusError('PACKAGE_BOMB', `the patch claims more than the ${targetBytes} bytes that the target has`);
}
