// Reads, as root, files of data folders that belong to other accounts. Such an account could put a link anywhere below
// its folder, and have root read what only root may: every name on the way is opened without following links.
import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { IsthmusError } from '../contract/errors.ts';
import { errnoOf } from '../lib/files/disk-space.ts';
import { openOwn } from '../lib/files/private.ts';

const FOLDER = constants.O_RDONLY | constants.O_DIRECTORY;
const UNSAFE = 'PERMISSIONS_UNSAFE';

/**
 * Opens the plain file `names` below `folder`, a path that only root can change; answers its descriptor. Undefined when
 * it does not exist. PERMISSIONS_UNSAFE when a link, or anything but a folder or a plain file, is on the way.
 */
export function openBelow(folder: string, names: readonly string[]): number | undefined {
  return inFolderBelow(folder, names.slice(0, -1), (open) => {
    const file = openOwn(join(open, names.at(-1)!), constants.O_RDONLY);
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw unsafe(join(folder, ...names));
  });
}

/** Removes the name of a file below `folder`, with the rules of `openBelow`. What does not exist passes. */
export function removeBelow(folder: string, names: readonly string[]): void {
  try {
    inFolderBelow(folder, names.slice(0, -1), (open) => unlinkSync(join(open, names.at(-1)!)));
  } catch (thrown) {
    if (errnoOf(thrown) === 'EISDIR') throw unsafe(join(folder, ...names), thrown);
    throw thrown;
  }
}

/**
 * What `use` makes of the folder `names` below `folder`, which it gets as a path that stays the same folder, wherever
 * that is moved. Undefined when something does not exist; PERMISSIONS_UNSAFE when a link is on the way.
 */
export function inFolderBelow<Result>(
  folder: string,
  names: readonly string[],
  use: (open: string) => Result,
): Result | undefined {
  let at: number | undefined;
  try {
    at = openSync(folder, FOLDER);
    for (const name of names) {
      const next = openSync(join(pathOf(at), name), FOLDER | constants.O_NOFOLLOW);
      closeSync(at);
      at = next;
    }
    return use(pathOf(at));
  } catch (thrown) {
    const errno = errnoOf(thrown) ?? '';
    if (errno === 'ENOENT') return undefined;
    if (['ENOTDIR', 'ELOOP'].includes(errno) || (thrown instanceof IsthmusError && thrown.code === UNSAFE)) {
      throw unsafe(join(folder, ...names), thrown);
    }
    throw thrown;
  } finally {
    if (at !== undefined) closeSync(at);
  }
}

/** The content of such a file of at most `maxBytes`; undefined when it does not exist. INVALID_FIELD when it has more. */
export function readBelow(folder: string, names: readonly string[], maxBytes: number): Buffer | undefined {
  const file = openBelow(folder, names);
  if (file === undefined) return undefined;
  try {
    const content = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length <= maxBytes; length += count) {
      count = readSync(file, content, length, content.length - length, length);
    }
    if (length <= maxBytes) return content.subarray(0, length);
    throw new IsthmusError('INVALID_FIELD', `${join(folder, ...names)} has more than ${maxBytes} bytes`);
  } finally {
    closeSync(file);
  }
}

/** There is no `openat` in Node.js. */
function pathOf(folder: number): string {
  return `/proc/self/fd/${folder}`;
}

function unsafe(path: string, cause?: unknown): IsthmusError {
  return new IsthmusError(UNSAFE, `${path} is no plain file, or is reached through a link`, { cause });
}
