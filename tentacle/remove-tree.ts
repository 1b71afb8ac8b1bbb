// Removes a folder in which scripts of another user could write. A path that is looked up twice may be two things: who
// may rename in there can put a link in a folder's place. So each folder is opened once, never through a link, and what
// is in it is removed relative to what was opened.
import { constants } from 'node:fs';
import { chmod, open, readdir, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { errnoOf } from '../lib/files/disk-space.ts';

/**
 * Linux: opens a folder as a place only, so that it can be one that its owner closed to himself. Node does not name it.
 */
const AS_SOURCE = 0o10000000;
const FOLDER_ONLY = AS_SOURCE | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Read, write and search, for the owner. */
const OWNERS_ALL = 0o700;
/** Somebody who is still in there may add files while they are removed; not for ever. */
const MOST_ROUNDS = 5;

/**
 * Removes a file, a link or a folder with all that is in it, also in folders that were made unwritable, as the module
 * cache of Go is. Not there is as good as removed. What cannot be removed keeps nothing else from being removed; then,
 * or when `signal` aborts, it rejects with the first reason.
 */
export async function removeTree(path: string, signal?: AbortSignal): Promise<void> {
  const kept = await remove(Buffer.from(path), signal);
  if (kept !== undefined) throw kept.reason;
}

interface Kept {
  readonly reason: unknown;
}

/** Names are bytes: a script may have made one that is no text. */
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

/** Where that is refused, what follows tells whether it was needed. */
async function makeWritable(folder: FileHandle, opened: string): Promise<void> {
  const { mode } = await folder.stat();
  if ((mode & OWNERS_ALL) !== OWNERS_ALL) await chmod(opened, OWNERS_ALL).catch(() => undefined);
}
