// Reads a tar.gz entry by entry; admits only files, folders and links.
import { IsthmusError } from '../../contract/errors.ts';
import { bytesAt, type ByteSource } from './byte-source.ts';
import { inflateGzip } from './gzip.ts';
import { decodeName } from './names.ts';
import { BLOCK_BYTES, damaged, isZeroBlock, readPaxRecords, readTarHeader, type TarHeader } from './tar-header.ts';
import type { ArchiveLimits, ArchiveVisitor } from './visitor.ts';

const CHUNK_BYTES = 256 * 1024;
/** An extended header holds a path or two; a longer one is an attack on memory. */
const LARGEST_META_BYTES = 64 * 1024;
/** Where an octal size ends: only from here on a pax size may differ from the header's. */
const LARGEST_OCTAL_SIZE = 8 ** 11 - 1;

/** A time of a header may be any number; no file system keeps a later one. */
const LATEST_S = 2 ** 40;

/** Passes every entry of the archive to the visitor, one at a time. */
export function readTarGz(source: ByteSource, visitor: ArchiveVisitor): Promise<void> {
  return readChunks(inflateGzip(source), visitor);
}

/** The same for what is inside a tar.gz. */
export function readTar(source: ByteSource, visitor: ArchiveVisitor): Promise<void> {
  return readChunks(chunksOf(source), visitor);
}

async function readChunks(chunks: AsyncGenerator<Buffer>, visitor: ArchiveVisitor): Promise<void> {
  try {
    await new TarReading(new TarStream(chunks, visitor.limits), visitor).run();
  } finally {
    await chunks.return(undefined);
  }
}

async function* chunksOf(source: ByteSource): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    const chunk = await bytesAt(source, position, CHUNK_BYTES);
    if (chunk.length === 0) return;
    position += chunk.length;
    yield chunk;
  }
}

/** What extended headers say of the entry after them, in place of its own header. */
interface Extension {
  readonly name?: Buffer;
  readonly linkName?: Buffer;
  readonly sizeBytes?: number;
  readonly modifiedS?: number;
}

class TarReading {
  readonly #stream: TarStream;
  readonly #visitor: ArchiveVisitor;
  #extension: Extension | undefined;

  constructor(stream: TarStream, visitor: ArchiveVisitor) {
    this.#stream = stream;
    this.#visitor = visitor;
  }

  async run(): Promise<void> {
    for (let header = await this.#next(); header !== undefined; header = await this.#next()) await this.#take(header);
    if (this.#extension !== undefined) throw damaged('an extended header has no entry');
    await this.#stream.readPadding();
  }

  /** The next header; undefined at the mark of the end. */
  async #next(): Promise<TarHeader | undefined> {
    const isFirst = this.#stream.bytes === 0;
    const block = await this.#stream.block();
    if (block.length === 0 && isFirst) throw new IsthmusError('PACKAGE_FORMAT', 'there is nothing in the gzip');
    if (!isFirst && block.length < BLOCK_BYTES) throw cutShort();
    if (block.length === BLOCK_BYTES && isZeroBlock(block)) return this.#endMark();
    const header = block.length < BLOCK_BYTES ? undefined : readTarHeader(block);
    if (header !== undefined) return header;
    if (!isFirst) throw damaged('a header does not match its checksum');
    throw new IsthmusError('PACKAGE_FORMAT', 'what is inside the gzip is not a tar, or its beginning is damaged');
  }

  async #endMark(): Promise<undefined> {
    const second = await this.#stream.block();
    if (second.length < BLOCK_BYTES) throw cutShort();
    if (!isZeroBlock(second)) throw damaged('there is a block of zeros between entries');
  }

  async #take(header: TarHeader): Promise<void> {
    switch (header.type) {
      case 'x':
      case 'X':
        return this.#extend(readExtension(await this.#meta(header)));
      case 'g':
        return checkGlobal(await this.#meta(header));
      case 'L':
        return this.#extend({ name: upToZero(await this.#meta(header)) });
      case 'K':
        return this.#extend({ linkName: upToZero(await this.#meta(header)) });
      default: {
        const extension = this.#extension ?? {};
        this.#extension = undefined;
        this.#visitor.count();
        return this.#entry({ ...header, ...extension, sizeBytes: sizeOf(header, extension) }, extension);
      }
    }
  }

  async #meta({ sizeBytes }: TarHeader): Promise<Buffer> {
    if (sizeBytes > LARGEST_META_BYTES) {
      throw new IsthmusError('PACKAGE_BOMB', 'an extended header of the archive is too large');
    }
    const chunks: Buffer[] = [];
    for await (const chunk of this.#stream.content(sizeBytes)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Which of two extended headers counts, readers do not agree on. */
  #extend(extension: Extension): void {
    const before = this.#extension;
    if (before !== undefined && Object.keys(extension).some((key) => key in before)) {
      throw damaged('two extended headers of an entry tell the same');
    }
    this.#extension = { ...before, ...extension };
  }

  async #entry(header: TarHeader, { modifiedS = header.modifiedS }: Extension): Promise<void> {
    // The label of the archive, as `tar -V` writes it, is no file.
    if (header.type === 'V' && header.sizeBytes === 0) return;
    const name = decodeName(header.name);
    const kind = kindOf(header, name);
    const facts = {
      mode: header.mode,
      modifiedAt: modifiedS === undefined || Math.abs(modifiedS) > LATEST_S ? undefined : new Date(modifiedS * 1000),
    };
    // Some readers skip such content, others read it as entries.
    if (kind !== 'file' && header.sizeBytes > 0) throw damaged('a folder or a link has content');
    switch (kind) {
      case 'folder':
        return this.#visitor.folder(name, facts);
      case 'hardLink':
        return this.#visitor.hardLink(name, decodeName(header.linkName));
      case 'symbolicLink':
        return this.#visitor.symbolicLink(name, decodeName(header.linkName), facts);
      case 'file':
        await this.#visitor.beginFile(name, facts);
        for await (const chunk of this.#stream.content(header.sizeBytes)) await this.#visitor.write(chunk);
        await this.#visitor.endFile();
    }
  }
}

/** The tar's bytes, counted: headers too, to limit an archive that has only headers. */
class TarStream {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #limits: ArchiveLimits;
  #held: Buffer = Buffer.alloc(0);
  bytes = 0;

  constructor(chunks: AsyncIterator<Buffer>, limits: ArchiveLimits) {
    this.#chunks = chunks;
    this.#limits = limits;
  }

  /** The next block; shorter where the stream ends. */
  async block(): Promise<Buffer> {
    while (this.#held.length < BLOCK_BYTES) {
      const before = this.#held;
      if (!(await this.#fill())) break;
      this.#held = Buffer.concat([before, this.#held]);
    }
    return this.#take(BLOCK_BYTES);
  }

  /** The content of an entry; skips the padding behind it. */
  async *content(sizeBytes: number): AsyncGenerator<Buffer> {
    for (let left = sizeBytes; left > 0;) {
      if (this.#held.length === 0 && !(await this.#fill())) throw cutShort();
      const chunk = this.#take(left);
      left -= chunk.length;
      yield chunk;
    }
    for (let left = -sizeBytes & (BLOCK_BYTES - 1); left > 0;) {
      if (this.#held.length === 0 && !(await this.#fill())) throw cutShort();
      left -= this.#take(left).length;
    }
  }

  /** Reads what is left: zeros, which fill up a record. */
  async readPadding(): Promise<void> {
    do {
      if (!isZeroBlock(this.#take(this.#held.length))) throw damaged('other bytes follow its end');
    } while (await this.#fill());
  }

  #take(most: number): Buffer {
    const taken = this.#held.subarray(0, most);
    this.#held = this.#held.subarray(taken.length);
    return taken;
  }

  /** Holds the next chunk; false at the end of the stream. */
  async #fill(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#held = next.value;
    this.bytes += this.#held.length;
    const { maxBytes, maxOverheadBytes } = this.#limits;
    if (this.bytes > maxBytes + maxOverheadBytes) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive inflates to more than ${maxBytes} bytes and their headers`);
    }
    return true;
  }
}

function kindOf({ type }: TarHeader, name: string): 'file' | 'folder' | 'hardLink' | 'symbolicLink' {
  switch (type) {
    case '0':
    case '7':
      // Before POSIX a folder was a file whose name ends in a slash.
      return name.endsWith('/') ? 'folder' : 'file';
    case '5':
      return 'folder';
    case '1':
      return 'hardLink';
    case '2':
      return 'symbolicLink';
    case 'M':
      throw notWhole();
    case 'S':
      throw sparse();
    default:
      throw new IsthmusError('PACKAGE_ENTRY', `the archive has an entry of kind ${JSON.stringify(type)}`);
  }
}

/** The size that every reader takes: one that does not know pax goes by the header. */
function sizeOf(header: TarHeader, { sizeBytes = header.sizeBytes }: Extension): number {
  if (sizeBytes === header.sizeBytes || sizeBytes > LARGEST_OCTAL_SIZE) return sizeBytes;
  throw damaged('an entry has two sizes');
}

function readExtension(content: Buffer): Extension {
  const records = readPaxRecords(content);
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.') || key === 'SCHILY.realsize')) throw sparse();
  if (records.has('GNU.volume.offset')) throw notWhole();
  const [name, linkName, size, time] = ['path', 'linkpath', 'size', 'mtime'].map((key) => records.get(key));
  return {
    // An empty value takes a record back.
    ...(name === undefined || name.length === 0 ? {} : { name }),
    ...(linkName === undefined || linkName.length === 0 ? {} : { linkName }),
    ...(size === undefined || size.length === 0 ? {} : { sizeBytes: decimal(size) }),
    ...(time === undefined || time.length === 0 ? {} : { modifiedS: seconds(time) }),
  };
}

/** It speaks of all entries after it, which have no name, size or target in common. Other records do not matter. */
function checkGlobal(content: Buffer): void {
  const { name, linkName, sizeBytes } = readExtension(content);
  if ([name, linkName, sizeBytes].some((each) => each !== undefined)) throw damaged('a global header names a file');
}

function decimal(value: Buffer): number {
  const digits = value.toString('latin1');
  if (!/^\d{1,15}$/.test(digits)) throw damaged('an entry has a size that is no number');
  return Number(digits);
}

function seconds(value: Buffer): number {
  const text = value.toString('latin1');
  if (!/^-?\d{1,12}(?:\.\d*)?$/.test(text)) throw damaged('an entry has a time that is no number');
  return Number(text);
}

function upToZero(content: Buffer): Buffer {
  const zero = content.indexOf(0);
  return zero === -1 ? content : content.subarray(0, zero);
}

function cutShort(): IsthmusError {
  return new IsthmusError('PACKAGE_FORMAT', 'the tar inside has no end: it is cut short');
}

function notWhole(): IsthmusError {
  return new IsthmusError(
    'PACKAGE_FORMAT',
    'the archive is one of several volumes, and its first file began in another',
  );
}

function sparse(): IsthmusError {
  return new IsthmusError('PACKAGE_BOMB', 'the archive has sparse files, which claim bytes that it does not hold');
}
