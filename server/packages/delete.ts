// Deletes versions of packages that nothing uses, and the bytes that no version has any more.
import type { Deletion } from '../../contract/deletions.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Mutex } from '../../lib/async/mutex.ts';
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { Package } from '../store/packages/packages.ts';
import { checkUnused, type DeleteOptions, type Reference } from '../store/references.ts';
import type { Store, StoreTransaction } from '../store/store.ts';

/** The bytes of packages, and what keeps them and their rows together. */
export interface FeedBytes {
  readonly store: Store;
  readonly blobs: BlobStore;
  /**
   * By digest. Whoever adds a version and its bytes, or removes bytes that no version has, holds it: otherwise the one
   * would remove what the other has just counted on.
   */
  readonly changing: Mutex;
}

/**
 * Deletes a version. IN_USE while a release pins it or an open task names its bytes. The row goes first: after a crash
 * there may be bytes without a row, which the next start removes, never a row without bytes.
 */
export async function deleteVersion(
  feed: FeedBytes,
  { idKey, versionKey }: Pick<Package, 'idKey' | 'versionKey'>,
  { actor, dryRun = false }: DeleteOptions,
): Promise<Deletion> {
  const deletion = await feed.store.transaction(async (tx) => {
    const entry = await tx.packages.find(idKey, versionKey);
    if (entry === undefined) throw new IsthmusError('NOT_FOUND', `there is no version ${versionKey} of ${idKey}`);
    const { id, version, sha256, sizeBytes } = entry;
    checkUnused(`${id} ${version}`, await referencesTo(tx, entry));
    const others = (await tx.packages.byDigest(sha256)).length - 1;
    if (!dryRun) {
      await tx.packages.delete(entry);
      await tx.events.append({ actor, type: 'package.deleted', subject: id, data: { version, sha256, sizeBytes } });
    }
    const freedBytes = others === 0 ? sizeBytes : 0;
    return {
      sha256,
      answer: { dryRun, deleted: [{ kind: 'package', name: `${id} ${version}` }], freedBytes } as const,
    };
  });
  const { sha256 } = deletion;
  if (!dryRun) await feed.changing.run(() => dropIfUnused(feed, sha256), sha256);
  return { ...deletion.answer, unused: [] };
}

/** Removes the bytes of a digest unless a version has them, and says so; the caller holds the digest's `changing`. */
export async function dropIfUnused({ store, blobs }: FeedBytes, sha256: string): Promise<boolean> {
  const isUnused = (await store.packages.byDigest(sha256)).length === 0;
  if (isUnused) await blobs.delete(sha256);
  return isUnused;
}

/**
 * Removes all bytes that no version has: those of pushes and deletions that a crash has cut off, and of pushes after the
 * backup that a database was restored from.
 */
export async function dropOrphans(feed: FeedBytes, log: Logger): Promise<void> {
  for (const { sha256, sizeBytes } of feed.blobs.list()) {
    const isDropped = await feed.changing.run(() => dropIfUnused(feed, sha256), sha256);
    if (isDropped) log.warn({ sha256, sizeBytes }, 'removed bytes that no version of a package has');
  }
}

async function referencesTo(tx: StoreTransaction, entry: Package): Promise<Reference[]> {
  const tasks = await tx.packages.openTasksOf(entry.sha256);
  const releases = await tx.packages.releasesOf(entry);
  const mirrors = await tx.mirrorPins.mirrorsOf(entry);
  return [
    ...tasks.map((task): Reference => ({
      text: `task ${task}`,
      remedy: 'Wait until the task has ended, or cancel it.',
      action: { code: 'CANCEL_TASK', arguments: { task } },
    })),
    ...releases.map(({ project, version }): Reference => ({
      text: `release ${version} of ${project}`,
      remedy: 'Delete the releases that use it first.',
      action: { code: 'DELETE_RELEASE', arguments: { project, version } },
    })),
    ...mirrors.map((mirror): Reference => ({ text: `a pin at mirror ${mirror}`, remedy: 'End the pin first.' })),
  ];
}
