// Reads a zip or nupkg entry by entry, by its central directory; admits only files, folders and links.
import { open, type FileHandle } from 'node:fs/promises';
import { openPromise, type Entry, type LocalFileHeader } from 'yauzl';
import { IsthmusError } from '../../contract/errors.ts';
import { fileSource, type ByteSource } from './byte-source.ts';
import type { EntryFacts } from './folder-writer.ts';
import { inflate, newMeter, readStored } from './inflate.ts';
import { LONGEST_TARGET_BYTES } from './links.ts';
import { decodeName } from './names.ts';
import type { ArchiveVisitor } from './visitor.ts';
import { lie, readZipEnd, type ZipDirectory } from './zip-end.ts';
import { kindOf, unixMode } from './zip-kind.ts';
import { ZipLayout } from './zip-layout.ts';
import { entryName } from './zip-names.ts';
import { modifiedAt } from './zip-time.ts';

const STORED = 0;
const DEFLATED = 8;
const RECORD_BYTES = 46;
/** Where a record of the directory names the disk of its entry. */
const DISK_AT = 34;
/** Encrypted, a patch, or with masked headers. */
const UNREADABLE_FLAGS = 0x2061;
/** Ten times the version of the format; what needs a later one is neither stored nor deflated. */
const LATEST_VERSION = 46;

/** Passes every entry of the archive to the visitor, one at a time. */
export async function readZip(path: string, visitor: ArchiveVisitor, format: 'zip' | 'nupkg'): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const directory = await readZipEnd(file, size);
    if (directory.records > visitor.limits.maxEntries) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive has ${directory.records} entries`);
    }
    const reading = new ZipReading({ file, path, source: fileSource(file, size) }, directory);
    await reading.checkLayout();
    await reading.visit(visitor, format);
  } finally {
    await file.close();
  }
}

interface OpenedZip {
  readonly file: FileHandle;
  readonly path: string;
  readonly source: ByteSource;
}

class ZipReading {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #source: ByteSource;
  readonly #directory: ZipDirectory;

  constructor({ file, path, source }: OpenedZip, directory: ZipDirectory) {
    this.#file = file;
    this.#path = path;
    this.#source = source;
    this.#directory = directory;
  }

  /** Checks all headers: entries that share their bytes are rejected before any is inflated. */
  async checkLayout(): Promise<void> {
    const { records, start, end } = this.#directory;
    const layout = new ZipLayout();
    let at = start;
    let seen = 0;
    await this.#eachEntry(async (entry, local) => {
      seen += 1;
      if ((await this.#readDisk(at)) !== 0) throw lie('an entry lies in another part of the archive');
      at += RECORD_BYTES + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (at > end || (at === end && seen < records)) throw lie(`it claims ${records} entries and has fewer`);
      rejectUnlessReadable(entry, local);
      layout.add(entry, local);
    });
    if (at < end) throw lie(`it claims ${records} entries and has more`);
    await layout.assertFull(this.#file, start);
  }

  async visit(visitor: ArchiveVisitor, format: 'zip' | 'nupkg'): Promise<void> {
    await this.#eachEntry(async (entry, local) => {
      visitor.count();
      const name = nameOf(entry, local, format);
      const facts = factsOf(entry);
      const content = this.#content(entry, local.fileDataStart);
      switch (kindOf(entry, name)) {
        case 'link':
          return visitor.symbolicLink(name, await readTarget(content), facts);
        case 'folder':
          for await (const chunk of content) if (chunk.length > 0) throw lie('a folder has content');
          return visitor.folder(name, facts);
        case 'file':
          await visitor.beginFile(name, facts);
          for await (const chunk of content) await visitor.write(chunk);
          await visitor.endFile();
      }
    });
  }

  async #eachEntry(take: (entry: Entry, local: LocalFileHeader) => Promise<void>): Promise<void> {
    const zip = await openPromise(this.#path, { autoClose: false, decodeStrings: false, validateEntrySizes: false });
    try {
      for await (const entry of zip.eachEntry()) await take(entry, await zip.readLocalFileHeaderPromise(entry));
    } finally {
      zip.close();
    }
  }

  async #readDisk(record: number): Promise<number> {
    const { buffer } = await this.#file.read({ buffer: Buffer.alloc(2), position: record + DISK_AT });
    return buffer.readUInt16LE();
  }

  async *#content(entry: Entry, start: number): AsyncGenerator<Buffer> {
    const { compressionMethod, compressedSize, uncompressedSize, crc32 } = entry;
    const meter = newMeter();
    const read = compressionMethod === STORED ? readStored : inflate;
    yield* read(this.#source, { start, end: start + compressedSize }, meter);
    if (meter.takenBytes !== compressedSize || meter.bytes !== uncompressedSize) {
      throw lie('an entry has another size than it claims');
    }
    if (meter.crc32 !== crc32) throw lie('the checksum of an entry is that of other content');
  }
}

function nameOf(entry: Entry, local: LocalFileHeader, format: 'zip' | 'nupkg'): string {
  return entryName(
    { bytes: entry.fileNameRaw, flags: entry.generalPurposeBitFlag, extra: entry.extraFieldRaw },
    { bytes: local.fileName, flags: local.generalPurposeBitFlag, extra: local.extraField },
    entry.versionMadeBy >> 8,
    format,
  );
}

/** The target of a link is its content. */
async function readTarget(content: AsyncGenerator<Buffer>): Promise<string> {
  let target = Buffer.alloc(0);
  for await (const chunk of content) {
    target = Buffer.concat([target, chunk]);
    if (target.length > LONGEST_TARGET_BYTES) {
      throw new IsthmusError('PACKAGE_LINK', 'the archive has a link whose target is too long');
    }
  }
  return decodeName(target);
}

function factsOf(entry: Entry): EntryFacts {
  return { mode: unixMode(entry), modifiedAt: modifiedAt(entry) };
}

function rejectUnlessReadable(entry: Entry, local: LocalFileHeader): void {
  const { compressionMethod, generalPurposeBitFlag } = entry;
  if ((generalPurposeBitFlag & UNREADABLE_FLAGS) !== 0) {
    throw new IsthmusError('PACKAGE_FORMAT', 'the archive is encrypted, or a patch');
  }
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) {
    throw new IsthmusError('PACKAGE_FORMAT', `compression method ${compressionMethod} is not deflate`);
  }
  for (const { versionNeededToExtract } of [entry, local]) {
    if ((versionNeededToExtract & 0xff) > LATEST_VERSION)
      throw lie('an entry claims to need newer readers than it does');
  }
}
