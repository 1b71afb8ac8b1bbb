// Unpacks a package into the agent's private folder: while its bytes arrive, where its format allows that, else from the
// cache. Bytes that turn out to be wrong leave nothing, and those that come in their place are unpacked from the first.
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import { isUnpackedInOrder, unpackFiles, type UnpackedFolder } from '../../lib/archives/archive.ts';
import type { ArchiveLimits } from '../../lib/archives/visitor.ts';
import type { GrowingFile, GrowingFileReader } from '../../lib/blobs/growing-file.ts';
import { isDiskFull } from '../../lib/files/disk-space.ts';
import type { Acquirer, AcquireProgress } from './acquire.ts';
import type { PackageOrder } from './payload.ts';
import type { Caller } from './shared-work.ts';
import type { Tars } from './tars.ts';

interface UnpackDeps {
  readonly blobs: BlobStore;
  readonly tars: Tars;
  /** How much free disk unpacking must leave. */
  readonly reserveBytes: number;
}

/** Unpacks an acquired package. PACKAGE_… when it is not what it should be, DISK_FULL; then nothing is left of it. */
export function unpackCached(
  order: PackageOrder,
  into: string,
  { blobs, tars, reserveBytes, signal }: UnpackDeps & { readonly signal?: AbortSignal | undefined },
): Promise<UnpackedFolder> {
  const { sha256, format, fileName } = order;
  const limits = limitsOf(order, reserveBytes);
  const stored = tars.stored(sha256);
  const path = blobs.pathOf(stored?.sha256 ?? sha256);
  return unpackFiles({ path, format: stored?.isTar === true ? 'tar' : format, fileName, into, limits, signal });
}

/** Acquires a package and unpacks it. Resolves once its bytes are verified, and both the cache and `into` are durable. */
export async function acquireUnpacked(
  order: PackageOrder,
  into: string,
  { acquirer, ...deps }: UnpackDeps & { readonly acquirer: Acquirer },
  { onProgress, signal }: Caller<AcquireProgress>,
): Promise<{ readonly acquired: AcquireProgress; readonly folder: UnpackedFolder }> {
  const over = new AbortController();
  const both = AbortSignal.any([signal, over.signal]);
  let unpacking: Promise<UnpackedFolder | undefined> = Promise.resolve(undefined);
  const onArriving = (file: GrowingFile): void => {
    if (!isUnpackedInOrder(order.format)) return;
    unpacking = unpackArriving(order, into, { file, reserveBytes: deps.reserveBytes, signal: both });
    // Whatever else is wrong may be the fault of wrong bytes, which only all of them can tell.
    unpacking.catch((thrown: unknown) => isDiskFull(thrown) && over.abort(thrown));
  };
  try {
    const acquired = await acquirer.acquire(order, { onProgress, onArriving, signal: both });
    const folder = (await unpacking) ?? (await unpackCached(order, into, { ...deps, signal }));
    return { acquired, folder };
  } catch (thrown) {
    over.abort(thrown);
    await unpacking.catch(() => undefined);
    throw over.signal.reason;
  }
}

interface ArrivingPackage {
  readonly file: GrowingFile;
  readonly reserveBytes: number;
  readonly signal: AbortSignal;
}

/** Undefined when all bytes have arrived already. */
async function unpackArriving(
  order: PackageOrder,
  into: string,
  { file, reserveBytes, signal }: ArrivingPackage,
): Promise<UnpackedFolder | undefined> {
  const { format, fileName } = order;
  for (;;) {
    const { generation } = file;
    const source = await file.follow();
    if (source === undefined) return undefined;
    const stop = (): void => {
      source.close().catch(() => undefined);
    };
    signal.addEventListener('abort', stop);
    try {
      const limits = limitsOf(order, reserveBytes);
      const arriving = { source, verified: () => source.verified() };
      return await unpackFiles({ path: '', format, fileName, into, limits, signal }, arriving);
    } catch (thrown) {
      signal.throwIfAborted();
      if (isDiskFull(thrown)) throw thrown;
      if (!(await areWrong(source, file, generation))) throw thrown;
    } finally {
      signal.removeEventListener('abort', stop);
      await source.close();
    }
  }
}

/** Whether the bytes that were read are not the right ones, and come again; throws when they do not. */
async function areWrong(source: GrowingFileReader, file: GrowingFile, generation: number): Promise<boolean> {
  try {
    await source.verified();
    return false;
  } catch (thrown) {
    if (file.generation === generation) throw thrown;
    return true;
  }
}

/** A package of a server that pins no more than its size is bounded as every archive is. */
function limitsOf({ unpackedBytes, entries }: PackageOrder, reserveBytes: number): Partial<ArchiveLimits> {
  return {
    reserveBytes,
    ...(unpackedBytes === undefined ? {} : { maxBytes: unpackedBytes }),
    ...(entries === undefined ? {} : { maxEntries: entries }),
  };
}
