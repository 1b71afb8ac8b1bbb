// Removes a folder in which scripts of another user could write. A path that is looked up twice may be two things: who may
// rename in there can put a link in a folder's place. So each folder is opened once, never through a link, and what is in
// it is removed relative to what was opened.
import { constants } from 'node:fs';
import { open, readdir, rmdir, unlink } from 'node:fs/promises';
import { errnoOf } from '../lib/packages/disk.ts';

const folderOnly = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Somebody who is still in there may add files while they are removed; not for ever. */
const mostRounds = 5;

/** Removes a file, a link or a folder with all that is in it. Not there is as good as removed. */
export async function removeTree(path: string): Promise<void> {
  await remove(Buffer.from(path));
}

/** Names are bytes: a script may have made one that is no text. */
async function remove(path: Buffer): Promise<void> {
  for (let round = 1; ; round += 1) {
    try {
      if (await unlinked(path)) return;
      await empty(path);
      return await rmdir(path);
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return;
      const changed = ['ENOTEMPTY', 'ENOTDIR', 'ELOOP'].includes(errnoOf(thrown) ?? '');
      if (!changed || round === mostRounds) throw thrown;
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

async function empty(path: Buffer): Promise<void> {
  const folder = await open(path, folderOnly);
  try {
    const opened = `/proc/self/fd/${folder.fd}/`;
    for (const name of await readdir(opened, { encoding: 'buffer' })) {
      await remove(Buffer.concat([Buffer.from(opened), name]));
    }
  } finally {
    await folder.close();
  }
}
