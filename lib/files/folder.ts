// Creates data folders one by one. `mkdir` with `recursive` loops forever where the system reports "no such file" for a
// folder whose parent exists, as below /proc.
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';

/**
 * Creates a folder (0700) and its missing parents; returns the topmost created one, or undefined when all existed.
 * DATA_DIR_UNUSABLE when it cannot be created or is no folder; parents that were created remain.
 */
export function makeFolder(path: string): string | undefined {
  try {
    return create(path);
  } catch (cause) {
    throw unusable(path, cause);
  }
}

/** An error of the file system about a data folder, with the folder and the system's code. */
export function unusable(path: string, cause: unknown): IsthmusError {
  if (cause instanceof IsthmusError) return cause;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  if (code === 'ENOSPC') return new IsthmusError('DISK_FULL', `the disk of ${path} is full`, { cause });
  const what = code === 'ENOTDIR' || code === 'EEXIST' ? ', which is not a folder, or is below a file' : '';
  return new IsthmusError('DATA_DIR_UNUSABLE', `cannot keep data in ${path}${what} (${code})`, { cause });
}

function create(path: string): string | undefined {
  try {
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch (thrown) {
    const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined;
    if (code === 'EEXIST' && statSync(path).isDirectory()) return undefined;
    const above = dirname(path);
    if (code !== 'ENOENT' || existsSync(above)) throw thrown;
    const topmost = create(above);
    mkdirSync(path, { mode: 0o700 });
    return topmost;
  }
}
