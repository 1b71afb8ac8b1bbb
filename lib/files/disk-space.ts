// What makes large files last: complete writes, fsync, and knowing when a disk is full. Small ones: ../durable.ts.
import { open, statfs, type FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';

/** Makes a file's content last, or the names in a folder: a rename is only on disk once its folder is. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Writes the whole chunk at a position; a plain write may stop early. */
export async function writeFully(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length;) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
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
