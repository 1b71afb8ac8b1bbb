// Checks a package's archive without writing, or unpacks it into a folder of its own.
//   names.ts        which names are rejected
//   visitor.ts      limits; folder-writer.ts writes, links.ts judges links
//   tar.ts, zip.ts  reading the formats, with gzip.ts, tar-header.ts, zip-end.ts, zip-layout.ts and zip-names.ts
//   byte-source.ts  where the bytes come from: a tar.gz, and what is no archive, may still be being received
// Limits apply to the bytes that are inflated and written, never to the claims of headers.
import { mkdir, open, rm } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { ARCHIVE_FORMATS } from '../../contract/packages.ts';
import { fileSource, type ByteSource } from './byte-source.ts';
import { finishFolders, FolderWriter, type FolderFacts } from './folder-writer.ts';
import { readTar, readTarGz } from './tar.ts';
import { ArchiveVisitor, DEFAULT_ARCHIVE_LIMITS, type ArchiveContents, type ArchiveLimits } from './visitor.ts';
import { readZip } from './zip.ts';
import { translateDiskFull } from '../files/disk-space.ts';

/** What is unpacked; a `file` is no archive, and is placed under its name. */
export const UNPACKED_FORMATS = [...ARCHIVE_FORMATS, 'file'] as const;
export type UnpackedFormat = (typeof UNPACKED_FORMATS)[number];

interface ArchiveSource {
  /** A whole file, unless it is `arriving`. */
  readonly path: string;
  /** `tar`: what is inside a tar.gz. */
  readonly format: UnpackedFormat | 'tar';
  /** The name of a `file`, below no folder. */
  readonly fileName?: string | undefined;
  readonly limits?: Partial<ArchiveLimits>;
}

interface Unpacking extends ArchiveSource {
  readonly into: string;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that are unpacked while they are received. */
export interface Arriving {
  readonly source: ByteSource;
  /** Resolves once the bytes are known to be right. No link is made before. */
  verified(): Promise<void>;
}

/** A folder that is whole and durable, but whose folders can still be written: `finishFolders` ends that. */
export interface UnpackedFolder extends ArchiveContents {
  readonly folders: readonly FolderFacts[];
}

/** Whether archives of this format can be unpacked before all their bytes are here: the others begin at their end. */
export function isUnpackedInOrder(format: UnpackedFormat): boolean {
  return format === 'tar.gz' || format === 'file';
}

/** Reads the whole archive and writes nothing: throws what unpacking it would throw. */
export async function checkArchive(source: ArchiveSource): Promise<ArchiveContents> {
  return visitArchive(source, { limits: limitsOf(source) });
}

/**
 * Unpacks into `into`, which must not exist and is durable afterwards, with permission bits, times, and links that stay
 * inside. On any error, or once `signal` aborts, `into` is removed again. Devices, and names and links that leave the
 * folder, are rejected, not skipped.
 */
export async function unpackArchive(unpacking: Unpacking): Promise<ArchiveContents> {
  const { folders, ...contents } = await unpackFiles(unpacking);
  await finishFolders(unpacking.into, folders);
  return contents;
}

/** As `unpackArchive`, but leaves the folders as they can be written; also of bytes that are `arriving`. */
export async function unpackFiles(
  { into, signal, ...source }: Unpacking,
  arriving?: Arriving,
): Promise<UnpackedFolder> {
  const limits = limitsOf(source);
  await mkdir(into, { mode: 0o700 });
  const { reserveBytes } = limits;
  const writer = new FolderWriter(into, { reserveBytes, signal, isReceiving: arriving !== undefined });
  try {
    const contents = await visitArchive(source, { limits, writer, arriving });
    return { ...contents, folders: writer.folders };
  } catch (thrown) {
    await writer.abandon();
    await rm(into, { recursive: true, force: true });
    signal?.throwIfAborted();
    throw thrown;
  }
}

function limitsOf({ limits }: ArchiveSource): ArchiveLimits {
  return { ...DEFAULT_ARCHIVE_LIMITS, ...limits };
}

interface Visit {
  readonly limits: ArchiveLimits;
  readonly writer?: FolderWriter;
  readonly arriving?: Arriving | undefined;
}

async function visitArchive(archive: ArchiveSource, { limits, writer, arriving }: Visit): Promise<ArchiveContents> {
  const visitor = new ArchiveVisitor(limits, writer);
  try {
    if (arriving === undefined) await visitFile(archive, visitor);
    else await visitBytes(arriving.source, archive, visitor);
    await visitor.endFile();
  } catch (thrown) {
    throw archiveError(thrown, archive.format);
  }
  if (visitor.contents.files === 0) throw new IsthmusError('PACKAGE_FORMAT', 'the archive has no files');
  await finish(visitor, arriving);
  return visitor.contents;
}

async function finish(visitor: ArchiveVisitor, arriving: Arriving | undefined): Promise<void> {
  try {
    await visitor.finish(arriving && (() => arriving.verified()));
  } catch (thrown) {
    throw translateDiskFull(thrown, 'unpacking');
  }
}

async function visitFile(archive: ArchiveSource, visitor: ArchiveVisitor): Promise<void> {
  const file = await open(archive.path, 'r');
  try {
    await visitBytes(fileSource(file, (await file.stat()).size), archive, visitor);
  } finally {
    await file.close();
  }
}

async function visitBytes(
  source: ByteSource,
  { path, format, fileName = '' }: ArchiveSource,
  visitor: ArchiveVisitor,
): Promise<void> {
  if (source.sizeBytes === 0) throw new IsthmusError('PACKAGE_FORMAT', 'the package is empty');
  switch (format) {
    case 'tar.gz':
      return readTarGz(source, visitor);
    case 'tar':
      return readTar(source, visitor);
    case 'file':
      return copyFile(source, fileName, visitor);
    case 'zip':
    case 'nupkg':
      return readZip(path, visitor, format);
  }
}

const PLACED_CHUNK_BYTES = 256 * 1024;

/** Passes the bytes to the visitor as the one file of the package. */
async function copyFile(source: ByteSource, name: string, visitor: ArchiveVisitor): Promise<void> {
  visitor.count();
  await visitor.beginFile(name, { mode: undefined, modifiedAt: undefined });
  const buffer = Buffer.allocUnsafe(PLACED_CHUNK_BYTES);
  for (let position = 0; ;) {
    const got = await source.read(position, buffer);
    if (got === 0) return;
    await visitor.write(buffer.subarray(0, got));
    position += got;
  }
}

/** Errors of the system keep their meaning; errors of the format readers mean a bad archive. */
function archiveError(thrown: unknown, format: ArchiveSource['format']): unknown {
  if (thrown instanceof IsthmusError) return thrown;
  if (thrown instanceof Error && 'syscall' in thrown) return translateDiskFull(thrown, 'unpacking');
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new IsthmusError('PACKAGE_FORMAT', `this is not a whole ${format} archive: ${detail}`, { cause: thrown });
}
