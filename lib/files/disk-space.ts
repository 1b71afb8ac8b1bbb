// Durable writes of large files, free space, and errors of a full disk. For small files see durable.ts.
import { open, statfs, type FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';

/** Flushes a file, or a folder's names, to disk: a rename is durable only once its folder is. */
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

/** The bytes that an unprivileged process can still write on the disk of `path`. */
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

/** Turns the error of a full disk into DISK_FULL; returns any other error unchanged. */
export function translateDiskFull(thrown: unknown, what: string): unknown {
  if (!isDiskFull(thrown) || thrown instanceof IsthmusError) return thrown;
  return new IsthmusError('DISK_FULL', `no room on the disk for ${what}`, { cause: thrown });
}

/** The system's name of an error, such as ENOENT. */
export function errnoOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined;
}
