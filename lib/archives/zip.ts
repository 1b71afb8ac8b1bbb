// Reads a zip or nupkg entry by entry, by its central directory; admits only files and folders.
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { IsthmusError } from '../../contract/errors.ts';
import { inflate, newMeter, readStored } from './inflate.ts';
import { decodeName } from './names.ts';
import type { ArchiveVisitor } from './visitor.ts';
import { lie, readZipEnd, type ZipDirectory } from './zip-end.ts';
import { ZipLayout } from './zip-layout.ts';

const MADE_ON_UNIX = 3;
const STORED = 0;
const DEFLATED = 8;
const RECORD_BYTES = 46;

/** Passes every entry of the archive to the visitor, one at a time. */
export async function readZip(path: string, visitor: ArchiveVisitor, format: 'zip' | 'nupkg'): Promise<void> {
  const file = await open(path, 'r');
  try {
    const directory = await readZipEnd(file, (await file.stat()).size);
    if (directory.records > visitor.limits.maxEntries) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive has ${directory.records} entries`);
    }
    const zip = await openPromise(path, { autoClose: false, decodeStrings: false, validateEntrySizes: false });
    try {
      await new ZipReading(zip, file, visitor, format).run(directory);
    } finally {
      zip.close();
    }
  } finally {
    await file.close();
  }
}

class ZipReading {
  readonly #zip: ZipFile;
  readonly #file: FileHandle;
  readonly #visitor: ArchiveVisitor;
  readonly #format: 'zip' | 'nupkg';
  readonly #layout = new ZipLayout();

  constructor(zip: ZipFile, file: FileHandle, visitor: ArchiveVisitor, format: 'zip' | 'nupkg') {
    this.#zip = zip;
    this.#file = file;
    this.#visitor = visitor;
    this.#format = format;
  }

  async run({ records, start, end }: ZipDirectory): Promise<void> {
    let at = start;
    let seen = 0;
    for await (const entry of this.#zip.eachEntry()) {
      this.#visitor.count();
      seen += 1;
      at += RECORD_BYTES + entry.fileNameLength + entry.extraFieldLength + entry.fileCommentLength;
      if (at > end || (at === end && seen < records)) throw lie(`it claims ${records} entries and has fewer`);
      await this.#visit(entry);
    }
    if (at < end) throw lie(`it claims ${records} entries and has more`);
    await this.#layout.assertFull(this.#file, start);
  }

  async #visit(entry: Entry): Promise<void> {
    const local = await this.#zip.readLocalFileHeaderPromise(entry);
    this.#layout.add(entry, local);
    const written = decodeName(entry.fileNameRaw);
    // The parts of a nupkg are URIs: the decoded name must be safe.
    const name = this.#format === 'nupkg' ? decodeUri(written) : written;
    const mode = entry.versionMadeBy >> 8 === MADE_ON_UNIX ? entry.externalFileAttributes >>> 16 : 0;
    rejectUnlessPlain(entry, mode);
    if (name.endsWith('/')) {
      if (entry.uncompressedSize > 0) throw lie('a folder has content');
      return this.#visitor.folder(name);
    }
    await this.#visitor.beginFile(name, (mode & 0o100) !== 0);
    await this.#readContent(entry, local.fileDataStart);
    await this.#visitor.endFile();
  }

  async #readContent(
    { compressionMethod, compressedSize, uncompressedSize, crc32 }: Entry,
    start: number,
  ): Promise<void> {
    const meter = newMeter();
    const read = compressionMethod === STORED ? readStored : inflate;
    for await (const chunk of read(this.#file, { start, end: start + compressedSize }, meter)) {
      await this.#visitor.write(chunk);
    }
    if (meter.takenBytes !== compressedSize || meter.bytes !== uncompressedSize) {
      throw lie('an entry has another size than it claims');
    }
    if (meter.crc32 !== crc32) throw lie('the checksum of an entry is that of other content');
  }
}

function rejectUnlessPlain(entry: Entry, mode: number): void {
  if (entry.isEncrypted()) throw new IsthmusError('PACKAGE_FORMAT', 'the archive is encrypted');
  if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
    throw new IsthmusError('PACKAGE_FORMAT', `compression method ${entry.compressionMethod} is not deflate`);
  }
  const type = mode & constants.S_IFMT;
  if (type === constants.S_IFLNK) throw new IsthmusError('PACKAGE_LINK', 'the archive has a link');
  if (type !== 0 && type !== constants.S_IFREG && type !== constants.S_IFDIR) {
    throw new IsthmusError('PACKAGE_ENTRY', 'the archive has an entry that is neither a file nor a folder');
  }
}

function decodeUri(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch (cause) {
    throw new IsthmusError('PACKAGE_NAME', 'the name of an entry has an escape that is not UTF-8', { cause });
  }
}
