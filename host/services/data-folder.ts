// Gives a service its data folder, which root may have made for a join or a restore.
import {
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  fstatSync,
  openSync,
  readdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { makeFolder, unusable } from '../../lib/files/folder.ts';
import type { Account } from '../../lib/accounts.ts';

type Owner = Pick<Account, 'uid' | 'gid'>;

const PASSABLE = 0o055;

/** Creates a data folder for root where it is missing; the folder above it lets every account through. */
export function makeDataFolder(folder: string): void {
  const above = dirname(folder);
  makeFolder(folder);
  const { mode } = statSync(above);
  if ((mode & PASSABLE) !== PASSABLE) chmodSync(above, (mode & 0o777) | PASSABLE);
}

/**
 * Makes a data folder and all in it the account's. No link is followed, and no file with another name elsewhere is given
 * away: whoever had the folder before may have planted either. PERMISSIONS_UNSAFE for such a file.
 */
export function giveDataFolder(folder: string, owner: Owner): void {
  try {
    // The folder itself may be a link of root's, to another disk.
    give({ path: realpathSync(folder), name: folder }, owner);
  } catch (thrown) {
    throw unusable(folder, thrown);
  }
}

interface Entry {
  /** How it is reached, whatever becomes of the folders above it meanwhile. */
  readonly path: string;
  /** As the operator knows it. */
  readonly name: string;
}

function give({ path, name }: Entry, owner: Owner): void {
  const entry = openEntry(path);
  if (entry === undefined) return;
  try {
    const stats = fstatSync(entry);
    const isOwn = stats.uid === owner.uid && stats.gid === owner.gid;
    if (stats.isFile() && !isOwn && stats.nlink > 1) {
      throw new IsthmusError('PERMISSIONS_UNSAFE', `${name} is a file with ${stats.nlink} names (hard links)`);
    }
    if (!isOwn) fchownSync(entry, owner.uid, owner.gid);
    if (!stats.isDirectory()) return;
    const folder = `/proc/self/fd/${entry}`;
    for (const each of readdirSync(folder)) give({ path: join(folder, each), name: join(name, each) }, owner);
  } finally {
    closeSync(entry);
  }
}

/** Undefined for a link, a socket, and what is gone. */
function openEntry(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (thrown) {
    if (['ELOOP', 'ENXIO', 'ENOENT'].includes(String(errnoOf(thrown)))) return undefined;
    throw thrown;
  }
}
