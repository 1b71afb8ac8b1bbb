// Checks a package's archive without writing, or unpacks it into a folder of its own.
//   names.ts        which names are rejected
//   visitor.ts      limits and writing
//   tar.ts, zip.ts  reading the formats, with gzip.ts, tar-header.ts, zip-end.ts, zip-layout.ts and zip-names.ts
// Limits apply to the bytes that are inflated and written, never to the claims of headers.
import { chmod, mkdir, rm, stat } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';
import { PACKAGE_FORMATS, type PackageFormat } from '../../contract/packages.ts';
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

/** Reads the whole archive and writes nothing: throws what unpacking it would throw. */
export async function checkArchive(source: ArchiveSource): Promise<ArchiveContents> {
  return visitArchive(source, undefined);
}

/**
 * Unpacks into `into`, which must not exist and is durable afterwards. On any error `into` is removed again. Links, devices and names that leave the folder are rejected, not skipped.
 */
export async function unpackArchive(source: ArchiveSource & { readonly into: string }): Promise<ArchiveContents> {
  await mkdir(source.into);
  try {
    await chmod(source.into, 0o755);
    return await visitArchive(source, source.into);
  } catch (thrown) {
    await rm(source.into, { recursive: true, force: true });
    throw thrown;
  }
}

async function visitArchive(
  { path, format, limits }: ArchiveSource,
  into: string | undefined,
): Promise<ArchiveContents> {
  const { size } = await stat(path);
  if (size === 0) throw new IsthmusError('PACKAGE_FORMAT', 'the package is empty');
  const visitor = new ArchiveVisitor({ ...DEFAULT_ARCHIVE_LIMITS, ...limits }, into);
  try {
    await (format === 'tar.gz' ? readTarGz(path, visitor) : readZip(path, visitor, format));
    await visitor.flush();
  } catch (thrown) {
    throw archiveError(thrown, format);
  } finally {
    await visitor.close();
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
