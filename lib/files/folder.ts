// Making folders for data, one by one: `mkdir` with `recursive` asks again for ever where the system says "no such
// file" of a folder whose parent is there, as below /proc.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';

/**
 * Makes a folder (0700) and those above it that are missing; answers the topmost that was made, undefined when all were
 * there. DATA_DIR_UNUSABLE when it cannot be, or is something else; what was made for it is then still there.
 */
export function makeFolder(path: string): string | undefined {
  try {
    return make(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** An error of the file system about a folder for data, with the folder and the system's own word. */
export function unusable(path: string, cause: unknown): IsthmusError {
  if (cause instanceof IsthmusError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'ENOSPC') return new IsthmusError('DISK_FULL', `the disk of ${path} is full`, { cause });
  const what = code === 'ENOTDIR' || code === 'EEXIST' ? ', which is not a folder, or is below a file' : '';
  return new IsthmusError('DATA_DIR_UNUSABLE', `cannot keep data in ${path}${what} (${code})`, { cause });
}

function make(path: string): string | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return undefined;
    const above = dirname(path);
    if (code !== 'ENOENT' || existsSync(above)) throw thrown;
    const made = make(above);
    mkdirSync(path, { mode: 0o700 });
    return made;
  }
}
