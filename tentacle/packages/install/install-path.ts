// Where a release may be installed beside the data folder: below a folder that the machine's own settings allow, and
// never through a link. Folders are opened once, one below the other, so that nothing on the path can be swapped.
import { constants } from 'node:fs';
import { chmod, mkdir, open, realpath, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path/posix';
import { IsthmusError } from '../../../contract/errors.ts';
import { ABSOLUTE_PATH_IN_WORDS, ABSOLUTE_PATH_PATTERN } from '../../../contract/patterns.ts';
import { errnoOf } from '../../../lib/files/disk-space.ts';

/** Linux: opens a folder without read permission, as a handle for paths only. node:fs has no constant for it. */
export const O_PATH = 0o10000000;
const ANY_FOLDER = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
const PLAIN_PATH = new RegExp(ABSOLUTE_PATH_PATTERN);
const READABLE_FOLDER = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

export interface InstallLimits {
  readonly dataDir: string;
  /** The tentacle's setting `installRoots`. */
  readonly installRoots: readonly string[];
}

/** Whether one path is the other, or above it. */
export function overlaps(a: string, b: string): boolean {
  return isWithin(a, b) || isWithin(b, a);
}

/** Opens the folder to install to; creates what is missing below the root. INSTALL_FORBIDDEN names path and reason. */
export async function openInstallFolder(path: string, { dataDir, installRoots }: InstallLimits): Promise<FileHandle> {
  if (!PLAIN_PATH.test(path)) throw forbidden(path, ABSOLUTE_PATH_IN_WORDS);
  const root = installRoots.map(withoutSlash).find((each) => path !== each && isWithin(path, each));
  if (root === undefined) {
    const allowed = installRoots.length === 0 ? 'there are none' : installRoots.join(', ');
    throw forbidden(path, `it is not below one of the installRoots of the tentacle (${allowed})`);
  }
  // The data folder itself may be named by a link.
  for (const own of [dataDir, await realpath(dataDir)]) {
    if (overlaps(path, own)) throw forbidden(path, `the data folder is ${own}`);
  }
  let at = await open('/', ANY_FOLDER);
  try {
    let name = '';
    for (const part of path.slice(1).split('/')) {
      name = `${name}/${part}`;
      const next = await enter(at, part, {
        name,
        isLast: name === path,
        creates: name !== root && isWithin(name, root),
      });
      await at.close();
      at = next;
    }
    return at;
  } catch (thrown) {
    await at.close();
    throw thrown;
  }
}

interface Step {
  readonly name: string;
  readonly isLast: boolean;
  readonly creates: boolean;
}

async function enter(above: FileHandle, part: string, { name, isLast, creates }: Step): Promise<FileHandle> {
  const path = join(pathOf(above), part);
  const flags = isLast ? READABLE_FOLDER : ANY_FOLDER;
  try {
    return await open(path, flags);
  } catch (thrown) {
    const code = errnoOf(thrown);
    if (code === 'ENOENT' && creates) {
      await create(path, name);
      return open(path, flags);
    }
    if (code === 'ENOENT') throw forbidden(name, 'it does not exist');
    if (code === 'ENOTDIR' || code === 'ELOOP') throw forbidden(name, 'it is a link, or no folder');
    if (isDenied(thrown)) throw forbidden(name, 'the account of the tentacle may not enter it');
    throw thrown;
  }
}

async function create(path: string, name: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o755 });
    await chmod(path, 0o755);
  } catch (thrown) {
    throw isDenied(thrown) ? forbidden(name, 'the account of the tentacle may not create it') : thrown;
  }
}

/** Whether the account of this process lacks the right. */
export function isDenied(thrown: unknown): boolean {
  return errnoOf(thrown) === 'EACCES' || errnoOf(thrown) === 'EPERM';
}

/** The path of an open folder, which nobody can replace. */
export function pathOf(folder: FileHandle): string {
  return `/proc/self/fd/${folder.fd}`;
}

function isWithin(path: string, root: string): boolean {
  return path === root || root === '/' || path.startsWith(`${root}/`);
}

function withoutSlash(path: string): string {
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
}

/** INSTALL_FORBIDDEN for a path, with the reason. */
export function forbidden(path: string, why: string): IsthmusError {
  return new IsthmusError('INSTALL_FORBIDDEN', `nothing may be installed to ${JSON.stringify(path)}: ${why}`, {
    field: 'installTo',
  });
}
