// Reads, as root, files of data folders that belong to other accounts. Such an account could put a link anywhere below
// its folder, and have root read what only root may: every name on the way is opened without following links.
import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { IsthmusError } from '../contract/errors.ts';
import { errnoOf } from '../lib/files/disk-space.ts';
import { openOwn } from '../lib/files/private.ts';

/**
 * Opens the plain file `names` below `folder`, a path that only root can change; answers its descriptor. Undefined when
 * it does not exist. PERMISSIONS_UNSAFE when a link, or anything but a folder or a plain file, is on the way.
 */
export function openBelow(folder: string, names: readonly string[]): number | undefined {
  return inFolder(folder, names, (path) => {
    const file = openOwn(path, constants.O_RDONLY);
    if (fstatSync(file).isFile()) return file;
    closeSync(file);
    throw unsafe(path);
  });
}

/** Removes the name of a file below `folder`, with the rules of `openBelow`. What does not exist passes. */
export function removeBelow(folder: string, names: readonly string[]): void {
  inFolder(folder, names, (path) => unlinkSync(path));
}

/** What `use` makes of the last of the names, in a folder that is open; undefined where something is missing. */
function inFolder<Result>(folder: string, names: readonly string[], use: (path: string) => Result): Result | undefined {
  let above: number | undefined;
  try {
    above = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    for (const name of names.slice(0, -1)) {
      const next = openSync(below(above, name), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
      closeSync(above);
      above = next;
    }
    return use(below(above, names.at(-1)!));
  } catch (thrown) {
    const errno = errnoOf(thrown) ?? '';
    if (errno === 'ENOENT') return undefined;
    if (['ENOTDIR', 'ELOOP'].includes(errno) || thrown instanceof IsthmusError) {
      throw unsafe(join(folder, ...names), thrown);
    }
    throw thrown;
  } finally {
    if (above !== undefined) closeSync(above);
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

/** The name in an open folder, wherever that folder is moved: there is no `openat` in Node. */
function below(folder: number, name: string): string {
  return `/proc/self/fd/${folder}/${name}`;
}

function unsafe(path: string, cause?: unknown): IsthmusError {
  return new IsthmusError('PERMISSIONS_UNSAFE', `${path} is no plain file, or is reached through a link`, { cause });
}
