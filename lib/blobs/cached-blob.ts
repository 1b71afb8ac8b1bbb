// Opens a blob of a cache, which may fetch it again: one that was changed on the disk is taken out.
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { BlobStore, OpenedBlob } from './blob-store.ts';

/**
 * Opens a whole blob; undefined when there is none, or none any more because its bytes had another digest. `takeOut` gets
 * such a one out of the store; by default it is deleted.
 */
export async function openCached(
  blobs: BlobStore,
  sha256: string,
  log: Logger,
  takeOut: (damaged: string) => Promise<void> = (damaged) => blobs.delete(damaged),
): Promise<OpenedBlob | undefined> {
  try {
    return await blobs.open(sha256);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'PACKAGE_HASH_MISMATCH') throw thrown;
    log.warn({ sha256 }, 'a cached package was changed on the disk; it is not served');
    await takeOut(sha256);
    return undefined;
  }
}
