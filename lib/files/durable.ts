// Writes a small file so that after a crash it has either the old content or the new, never a mixture: temporary file,
// fsync, rename, fsync of the folder.
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, basename } from 'node:path';

/** Replaces `path` with `content`, atomically and durably. Mode 0600 by default. */
export function writeDurably(path: string, content: string | Buffer, mode = 0o600): void {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = openSync(temporary, 'wx', mode);
    try {
      writeFileSync(file, content);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (thrown) {
    rmSync(temporary, { force: true });
    throw thrown;
  }
  syncFolder(dirname(path));
}

/** The permissions of a file that is to be replaced; undefined while there is none. */
export function permissionsOf(path: string): number | undefined {
  const status = statSync(path, { throwIfNoEntry: false });
  return status && status.mode & 0o777;
}

/** Makes renames and new files in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
