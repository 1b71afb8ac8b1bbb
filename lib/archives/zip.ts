// Reads a zip or nupkg entry by entry, by its central directory; admits only files and folders.
import { constants } from 'node:fs';
import { openPromise, type Entry, type ZipFile } from 'yauzl';
import { IsthmusError } from '../../contract/errors.ts';
import { decodeName } from './names.ts';
import type { ArchiveVisitor } from './visitor.ts';

const MADE_ON_UNIX = 3;
const STORED = 0;
const DEFLATED = 8;

/** Passes every entry of the archive to the visitor, one at a time. */
export async function readZip(path: string, visitor: ArchiveVisitor, format: 'zip' | 'nupkg'): Promise<void> {
  const zip = await openPromise(path, { autoClose: false, decodeStrings: false, validateEntrySizes: true });
  try {
    if (zip.entryCount > visitor.limits.maxEntries) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive has ${zip.entryCount} entries`);
    }
    const ranges: EntryRange[] = [];
    for await (const entry of zip.eachEntry()) {
      visitor.count();
      ranges.push(rangeOf(entry));
      await visitEntry(zip, entry, visitor, format);
    }
    rejectOverlaps(ranges);
  } finally {
    zip.close();
  }
}

/** The bytes of the archive that an entry claims: at least its header, name and content. */
interface EntryRange {
  readonly from: number;
  readonly to: number;
}

const LOCAL_HEADER_BYTES = 30;

function rangeOf({ relativeOffsetOfLocalHeader: from, compressedSize, fileNameRaw }: Entry): EntryRange {
  return { from, to: from + LOCAL_HEADER_BYTES + fileNameRaw.length + compressedSize };
}

/** Overlapping entries inflate the same bytes many times; no packer writes them. */
function rejectOverlaps(ranges: EntryRange[]): void {
  ranges.sort((a, b) => a.from - b.from);
  for (const [index, { to }] of ranges.entries()) {
    const next = ranges[index + 1];
    if (next !== undefined && next.from < to) {
      throw new IsthmusError('PACKAGE_BOMB', 'two entries of the archive share their bytes');
    }
  }
}

async function visitEntry(zip: ZipFile, entry: Entry, visitor: ArchiveVisitor, format: string): Promise<void> {
  const written = decodeName(entry.fileNameRaw);
  // The parts of a nupkg are URIs: the decoded name must be safe.
  const name = format === 'nupkg' ? decodeUri(written) : written;
  const mode = entry.versionMadeBy >> 8 === MADE_ON_UNIX ? entry.externalFileAttributes >>> 16 : 0;
  rejectUnlessPlain(entry, mode);
  if (name.endsWith('/')) return visitor.folder(name);
  await visitor.beginFile(name, (mode & 0o100) !== 0);
  const content = await zip.openReadStreamPromise(entry);
  // It may fail after reading has stopped; that must not end the process.
  content.on('error', () => undefined);
  for await (const chunk of content as AsyncIterable<Uint8Array>) await visitor.write(chunk);
  await visitor.endFile();
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
