// Receives a pushed package: digests the bytes while they stream to disk, and reads the archive through once before it
// keeps anything. A version, once pushed, never changes.
import type { Readable } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';
import { isArchive, PACKAGE_FORMATS, type PackageFormat, type PushedPackage } from '../../contract/packages.ts';
import { FILE_NAME_PATTERN } from '../../contract/patterns.ts';
import { checkArchive } from '../../lib/archives/archive.ts';
import type { ArchiveContents } from '../../lib/archives/visitor.ts';
import type { BlobWriter } from '../../lib/blobs/blob-writer.ts';
import { ProgressFloor, type Floor } from '../../lib/blobs/progress-floor.ts';
import { freeBytes } from '../../lib/files/disk-space.ts';
import { packageIdKey, versionKey } from '../../lib/package-versions.ts';
import type { Actor } from '../store/base.ts';
import type { Package } from '../store/packages/packages.ts';
import type { StoreTransaction } from '../store/store.ts';
import { dropIfUnused, type FeedBytes } from './delete.ts';

export interface PackageMeta {
  readonly id?: string | undefined;
  readonly version?: string | undefined;
  readonly format?: string | undefined;
  /** Of a package that is one file on a machine. */
  readonly fileName?: string | undefined;
  /** The size that the sender announces, if any. It is not trusted. */
  readonly sizeBytes?: number | undefined;
}

export interface PushLimits {
  /** Limit of the package file; its content has limits of its own (lib/archives/archive.ts). */
  readonly largestPackageBytes: number;
  /** What a push leaves free on the disk: the database is on it too and must always be able to write. */
  readonly keepFreeBytes: number;
}

export const PUSH_DEFAULTS: PushLimits = {
  largestPackageBytes: 8 * 1024 ** 3,
  keepFreeBytes: 512 * 1024 ** 2,
};

export interface PushResult extends PushedPackage {
  /** False when the feed already had the same bytes. */
  readonly created: boolean;
}

const FILE_NAME = new RegExp(FILE_NAME_PATTERN, 'u');

/** A push that is slower is aborted: it holds a file open. */
const SLOWEST_PUSH: Floor = { bytes: 16 * 1024, withinMs: 60_000 };

/** The free space is checked again after this many bytes: others write to the disk too. */
const BYTES_BETWEEN_CHECKS = 16 * 1024 ** 2;

interface PushDeps extends FeedBytes {
  readonly limits: PushLimits;
}

/**
 * Receives a package. Throws PACKAGE_EXISTS when this version has other bytes; the same bytes again change nothing.
 * Throws BODY_TOO_LARGE or DISK_FULL at the first byte over a limit, or before any byte if the sender announces a size.
 */
export async function pushPackage(
  { limits, ...feed }: PushDeps,
  body: Readable,
  meta: PackageMeta,
  actor: Actor,
): Promise<PushResult> {
  // The body may fail before it is read; reading it then throws.
  body.on('error', () => undefined);
  const { store, blobs, changing } = feed;
  const named = nameOf(meta);
  const room = { limits, folder: blobs.folder };
  await checkRoom(room, { receivedBytes: 0, comingBytes: meta.sizeBytes ?? 0 });
  const writer = await blobs.receive();
  try {
    await receive(body, writer, room);
    const unpacked = await measureUnpacked(writer.path, named);
    const sha256 = writer.meter().sha256();
    const entry = { ...named, ...unpacked, sha256, sizeBytes: writer.bytes, publishedAt: Date.now() };
    // Checked before the bytes are kept, and again in the transaction, which decides.
    assertSameBytes(await store.packages.find(named.idKey, named.versionKey), sha256);
    return await changing.run(async () => {
      await writer.commit();
      try {
        return await store.transaction((tx) => record(tx, entry, actor));
      } catch (thrown) {
        await dropIfUnused(feed, sha256);
        throw thrown;
      }
    }, sha256);
  } finally {
    await writer.discard();
  }
}

type NamedPackage = Pick<Package, 'id' | 'idKey' | 'version' | 'versionKey' | 'format' | 'fileName'>;

function nameOf(meta: PackageMeta): NamedPackage {
  const [id, version] = [given(meta.id, 'id'), given(meta.version, 'version')];
  const format = formatOf(meta.format ?? 'tar.gz');
  const fileName = meta.fileName ?? [id, version, ...(format === 'file' ? [] : [format])].join('.');
  if (!FILE_NAME.test(fileName)) {
    throw new IsthmusError('INVALID_FIELD', 'a file name is in no folder, and has no control character', {
      field: 'fileName',
    });
  }
  return {
    ...{ id, idKey: packageIdKey(id), version, versionKey: versionKey(version), format },
    ...(isArchive(format) ? {} : { fileName }),
  };
}

/**
 * Reads the package through: what it is when it is unpacked. What is used as one file need not be an archive that can be
 * unpacked, such as a jar that begins with a script.
 */
async function measureUnpacked(
  path: string,
  { format, fileName }: NamedPackage,
): Promise<Pick<Package, 'unpackedBytes' | 'entries'>> {
  if (isArchive(format)) return toUnpacked(await checkArchive({ path, format }));
  await checkArchive({ path, format: 'file', fileName });
  if (format === 'file') return {};
  try {
    return toUnpacked(await checkArchive({ path, format: 'zip' }));
  } catch (thrown) {
    if (thrown instanceof IsthmusError && thrown.code.startsWith('PACKAGE_')) return {};
    throw thrown;
  }
}

function toUnpacked({ bytes, entries }: ArchiveContents): Pick<Package, 'unpackedBytes' | 'entries'> {
  return { unpackedBytes: bytes, entries };
}

function given(value: string | undefined, field: string): string {
  if (value === undefined || value === '') {
    throw new IsthmusError('INVALID_FIELD', `a push needs the package's ${field}`, { field });
  }
  return value;
}

function formatOf(format: string): PackageFormat {
  const known = PACKAGE_FORMATS.find((each) => each === format);
  if (known !== undefined) return known;
  throw new IsthmusError('INVALID_FIELD', `the format is one of ${PACKAGE_FORMATS.join(', ')}`, { field: 'format' });
}

interface Room {
  readonly limits: PushLimits;
  readonly folder: string;
}

/** Throws BODY_TOO_LARGE or DISK_FULL when the bytes to come, after those received, exceed a limit. */
async function checkRoom(
  { limits: { largestPackageBytes, keepFreeBytes }, folder }: Room,
  { receivedBytes, comingBytes }: { readonly receivedBytes: number; readonly comingBytes: number },
): Promise<void> {
  if (receivedBytes + comingBytes > largestPackageBytes) {
    throw new IsthmusError('BODY_TOO_LARGE', `a package has at most ${largestPackageBytes} bytes`);
  }
  const free = await freeBytes(folder);
  if (free - comingBytes >= keepFreeBytes) return;
  const detail = `${free} bytes are free on the disk of the server, ${keepFreeBytes} of them are kept for the database`;
  throw new IsthmusError('DISK_FULL', detail);
}

async function receive(body: Readable, writer: BlobWriter, room: Room): Promise<void> {
  let checkAt = BYTES_BETWEEN_CHECKS;
  const floor = new ProgressFloor(SLOWEST_PUSH, ({ bytes, ms }) => {
    body.destroy(new IsthmusError('DEADLINE_EXCEEDED', `the upload has stalled: ${bytes} bytes in ${ms / 1000} s`));
  });
  try {
    floor.wait();
    for await (const chunk of body as AsyncIterable<Buffer>) {
      floor.received(chunk.length);
      const receivedBytes = writer.bytes;
      const wanted = receivedBytes + chunk.length;
      if (wanted >= checkAt || wanted > room.limits.largestPackageBytes) {
        await checkRoom(room, { receivedBytes, comingBytes: chunk.length });
        checkAt = wanted + BYTES_BETWEEN_CHECKS;
      }
      await writer.write(chunk);
      floor.wait();
    }
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'CANCELLED');
  } finally {
    floor.stop();
  }
}

async function record(tx: StoreTransaction, entry: Package, actor: Actor): Promise<PushResult> {
  const { id, version, sha256, sizeBytes, format } = entry;
  const existing = await tx.packages.find(entry.idKey, entry.versionKey);
  assertSameBytes(existing, sha256);
  if (existing !== undefined) return { ...toPushed(existing), created: false };
  await tx.packages.insert(entry);
  const data = { version, sha256, sizeBytes, format };
  await tx.events.append({ actor, type: 'package.pushed', subject: id, data });
  return { ...toPushed(entry), created: true };
}

function toPushed({
  idKey: _idKey,
  versionKey: _versionKey,
  publishedAt: _publishedAt,
  ...pushed
}: Package): PushedPackage {
  return pushed;
}

function assertSameBytes(existing: Package | undefined, sha256: string): void {
  if (existing !== undefined && existing.sha256 !== sha256) {
    throw new IsthmusError('PACKAGE_EXISTS', `${existing.id} ${existing.version} already exists with other bytes`);
  }
}
