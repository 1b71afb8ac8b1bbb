// Fetches the tarball of an upgrade into the data folder, from the nearest source that works. Resumes where it stopped,
// also after a restart; of all that lay there before, only a part of this very tarball stays.
import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { askForBlob, askForPiece, type SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { OpenedBlob } from '../../lib/blobs/blob-store.ts';
import { BlobWriter, type BlobInfo } from '../../lib/blobs/blob-writer.ts';
import { fetchBlob, type OnSlowSource, type OnWrongSource } from '../../lib/blobs/fetch.ts';
import { STALL_MS } from '../../lib/blobs/progress-floor.ts';
import type { Source } from '../../lib/blobs/source.ts';
import { SourceStates } from '../../lib/blobs/source-states.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { freeBytes } from '../../lib/files/disk-space.ts';
import { upgradeFolder } from '../../host/orders.ts';
import type { FoundSources } from '../sources/find.ts';

export interface DownloadDeps {
  readonly dataDir: string;
  /** The folder where the host unpacks it. */
  readonly versions: string;
  /** A stream to a source's feed; both ends are authenticated. */
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  /** Opens a package that this node has anyway. */
  readonly openCached?: ((sha256: string) => Promise<OpenedBlob | undefined>) | undefined;
  readonly onWrongSource: OnWrongSource;
  readonly log: Logger;
  readonly onSlowSource?: OnSlowSource | undefined;
}

export interface Tarball extends BlobInfo {
  /** Of its file. */
  readonly name: string;
}

export interface DownloadProgress {
  readonly bytes: number;
  /** The source that sends, or sent; empty when the bytes were there. */
  readonly from: string;
}

/** Room for logs and others that share the disk. */
const RESERVE_BYTES = 32 * 1024 * 1024;
/** Software unpacks to about three times its tarball. */
const UNPACKED_FACTOR = 4;

/** Removes what earlier upgrades left in the data folder, but the files that are named. */
export async function clearUpgradeFolder(dataDir: string, keep: readonly string[] = []): Promise<void> {
  const folder = upgradeFolder(dataDir);
  for (const name of await readdir(folder)) {
    if (!keep.includes(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Leaves the whole tarball, with its digest checked, in the upgrade folder of the data folder. PACKAGE_UNAVAILABLE when
 * no source delivers it, DISK_FULL, CANCELLED once `signal` aborts; the bytes received stay for the next try.
 */
export async function fetchTarball(
  { dataDir, versions, connect, openCached, onWrongSource, onSlowSource, log }: DownloadDeps,
  { name, sha256, sizeBytes }: Tarball,
  { sources, downloadToken }: FoundSources,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (progress: DownloadProgress) => void },
): Promise<DownloadProgress> {
  const partial = `${name}.partial`;
  await clearUpgradeFolder(dataDir, [name, partial]);
  const folder = upgradeFolder(dataDir);
  // Whole, but never ordered: its bytes are checked as those of a part.
  if (existsSync(join(folder, name))) await rename(join(folder, name), join(folder, partial));
  const target = await BlobWriter.open({
    path: join(folder, partial),
    mostBytes: sizeBytes,
    finalPath: () => join(folder, name),
    prepare: () => Promise.resolve(),
    onCommitted: () => undefined,
    onClosed: () => undefined,
  });
  const states = new SourceStates({ log });
  try {
    await assertRoom(folder, sizeBytes - target.bytes);
    // The host copies the tarball before it unpacks it.
    await assertRoom(versions, sizeBytes * (1 + UNPACKED_FACTOR));
    const cached = await openCached?.(sha256);
    if (cached !== undefined) await copy(cached, target);
    const { from } = await fetchBlob({
      ...{ sha256, sizeBytes, sources, target, states, signal, onWrongSource, onSlowSource },
      open: async (source, fromByte, aborted) => {
        const connection = await connect(source, aborted);
        return askForBlob(connection, { sha256, downloadToken, fromByte, signal: aborted, stallMs: STALL_MS });
      },
      probe: (source, piece, aborted) => {
        const question = { sha256, downloadToken, ...piece, signal: aborted, stallMs: STALL_MS };
        return askForPiece(() => connect(source, aborted), question);
      },
      onProgress,
    });
    return { bytes: sizeBytes, from };
  } finally {
    states.stop();
    await target.close();
  }
}

async function assertRoom(folder: string, bytes: number): Promise<void> {
  const free = await freeBytes(folder);
  if (free - bytes >= RESERVE_BYTES) return;
  throw new IsthmusError('DISK_FULL', `the upgrade needs ${bytes} more bytes in ${folder}, ${free} are free`);
}

/** The fetch finds the bytes, and checks them. */
async function copy({ file }: OpenedBlob, target: BlobWriter): Promise<void> {
  if (target.bytes > 0) await target.restart();
  for await (const chunk of file.createReadStream() as AsyncIterable<Buffer>) await target.write(chunk);
}
