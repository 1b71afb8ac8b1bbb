// Checks a package's archive without writing, or unpacks it into a folder of its own.
//   names.ts        which names are rejected
//   visitor.ts      limits; folder-writer.ts writes, links.ts judges links
//   tar.ts, zip.ts  reading the formats, with gzip.ts, tar-header.ts, zip-end.ts, zip-layout.ts and zip-names.ts
// Limits apply to the bytes that are inflated and written, never to the claims of headers.
import { mkdir, rm, stat } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { PACKAGE_FORMATS, type PackageFormat } from '../../contract/packages.ts';
import { FolderWriter } from './folder-writer.ts';
import { readTarGz } from './tar.ts';
import { ArchiveVisitor, DEFAULT_ARCHIVE_LIMITS, type ArchiveContents, type ArchiveLimits } from './visitor.ts';
import { readZip } from './zip.ts';
import { translateDiskFull } from '../files/disk-space.ts';

/** Whether `text` names a format that packages may have. */
export function isPackageFormat(text: string): text is PackageFormat {
  return PACKAGE_FORMATS.some((format) => format === text);
}

interface ArchiveSource {
  readonly path: string;
  readonly format: PackageFormat;
  readonly limits?: Partial<ArchiveLimits>;
}

interface Unpacking extends ArchiveSource {
  readonly into: string;
  /** Changes files before the folders get their modes, which may forbid it. */
  readonly edit?: () => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the whole archive and writes nothing: throws what unpacking it would throw. */
export async function checkArchive(source: ArchiveSource): Promise<ArchiveContents> {
  return visitArchive(source, limitsOf(source));
}

/**
 * Unpacks into `into`, which must not exist and is durable afterwards, with permission bits, times, and links that stay
 * inside. On any error, or once `signal` aborts, `into` is removed again. Devices, and names and links that leave the
 * folder, are rejected, not skipped.
 */
export async function unpackArchive({ into, edit, signal, ...source }: Unpacking): Promise<ArchiveContents> {
  await mkdir(into, { mode: 0o700 });
  try {
    const limits = limitsOf(source);
    const writer = new FolderWriter(into, limits.reserveBytes, signal);
    const contents = await visitArchive(source, limits, writer);
    await edit?.();
    await writer.finishFolders();
    return contents;
  } catch (thrown) {
    await rm(into, { recursive: true, force: true });
    signal?.throwIfAborted();
    throw thrown;
  }
}

function limitsOf({ limits }: ArchiveSource): ArchiveLimits {
  return { ...DEFAULT_ARCHIVE_LIMITS, ...limits };
}

async function visitArchive(
  { path, format }: ArchiveSource,
  limits: ArchiveLimits,
  writer?: FolderWriter,
): Promise<ArchiveContents> {
  const { size } = await stat(path);
  if (size === 0) throw new IsthmusError('PACKAGE_FORMAT', 'the package is empty');
  const visitor = new ArchiveVisitor(limits, writer);
  try {
    await (format === 'tar.gz' ? readTarGz(path, visitor) : readZip(path, visitor, format));
    await visitor.finish();
  } catch (thrown) {
    throw archiveError(thrown, format);
  } finally {
    await visitor.endFile();
  }
  if (visitor.contents.files === 0) throw new IsthmusError('PACKAGE_FORMAT', 'the archive has no files');
  return visitor.contents;
}

/** Errors of the system keep their meaning; errors of the format readers mean a bad archive. */
function archiveError(thrown: unknown, format: PackageFormat): unknown {
  if (thrown instanceof IsthmusError) return thrown;
  if (thrown instanceof Error && 'syscall' in thrown) return translateDiskFull(thrown, 'unpacking');
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new IsthmusError('PACKAGE_FORMAT', `this is not a whole ${format} archive: ${detail}`, { cause: thrown });
}
