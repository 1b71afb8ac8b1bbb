// Removes a folder tree that scripts of another user can write in. Between two lookups of a path, such a script could
// replace a folder with a link. So each folder is opened once, never through a link, and its entries are removed
// relative to the open folder.
import { constants } from 'node:fs';
import { chmod, open, readdir, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../lib/files/disk-space.ts';

/** Linux: opens a folder without read permission, as a handle for paths only. node:fs has no constant for it. */
const O_PATH = 0o10000000;
const FOLDER_ONLY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Read, write and search, for the owner. */
const OWNERS_ALL = 0o700;
/** A process may add files while the folder is emptied; it is tried this often. */
const MOST_ROUNDS = 5;

/**
 * Removes a file, a link, or a folder with its content, also read-only folders, as in Go's module cache. A missing path
 * counts as removed. Goes on after a failure, and rejects with the first one at the end, or when `signal` aborts.
 */
export async function removeTree(path: string | Buffer, signal?: AbortSignal): Promise<void> {
  const kept = await remove(Buffer.from(path), signal);
  if (kept !== undefined) throw kept.reason;
}

interface Kept {
  readonly reason: unknown;
}

/** Names are bytes: a script may have created one that is not UTF-8. */
async function remove(path: Buffer, signal: AbortSignal | undefined): Promise<Kept | undefined> {
  for (let round = 1; ; round += 1) {
    try {
      signal?.throwIfAborted();
      if (await unlinked(path)) return undefined;
      const kept = await empty(path, signal);
      if (kept === undefined) await rmdir(path);
      return kept;
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return undefined;
      const changed = ['ENOTEMPTY', 'ENOTDIR', 'ELOOP'].includes(errnoOf(thrown) ?? '');
      if (!changed || round === MOST_ROUNDS) return { reason: thrown };
    }
  }
}

/** False for a folder. */
async function unlinked(path: Buffer): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (thrown) {
    if (errnoOf(thrown) === 'EISDIR') return false;
    throw thrown;
  }
}

async function empty(path: Buffer, signal: AbortSignal | undefined): Promise<Kept | undefined> {
  const folder = await open(path, FOLDER_ONLY);
  try {
    const opened = `/proc/self/fd/${folder.fd}`;
    await makeWritable(folder, opened);
    let first: Kept | undefined;
    for (const name of await readdir(`${opened}/`, { encoding: 'buffer' })) {
      const kept = await remove(Buffer.concat([Buffer.from(`${opened}/`), name]), signal);
      first ??= kept;
      signal?.throwIfAborted();
    }
    return first;
  } finally {
    await folder.close();
  }
}

/** Best effort: the operations that follow fail if it was needed. */
async function makeWritable(folder: FileHandle, opened: string): Promise<void> {
  const { mode } = await folder.stat();
  if ((mode & OWNERS_ALL) !== OWNERS_ALL) await chmod(opened, OWNERS_ALL).catch(() => undefined);
}
