// What makes files last: complete writes, fsync of files and folders, and knowing when a disk is full.
import { randomUUID } from 'node:crypto';
import { open, rename, statfs, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IsthmusError } from '../errors.ts';

/** Makes the names in a folder last: a rename is only on disk once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Writes the whole chunk at a position; a plain write may stop early. */
export async function writeFully(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

/** Replaces a file's whole content, so that a crash leaves the old one or the new one. */
export async function replaceFile(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = `${path}.${randomUUID()}.new`;
  const file = await open(temporary, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** What an unprivileged process may still write on the disk that holds `path`. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/** Whether an error says that the disk, or the quota on it, is full. */
export function isDiskFull(thrown: unknown): boolean {
  if (thrown instanceof IsthmusError) return thrown.code === 'DISK_FULL';
  const code = errnoOf(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Gives a full disk its code; everything else stays as it was thrown. */
export function translateDiskFull(thrown: unknown, what: string): unknown {
  if (!isDiskFull(thrown) || thrown instanceof IsthmusError) return thrown;
  return new IsthmusError('DISK_FULL', `no room on the disk for ${what}`, { cause: thrown });
}

/** The system's own name for an error, such as ENOENT. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
