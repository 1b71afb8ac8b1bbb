// Opens the file of an interrupted download. Whatever lies in its place, a download can begin: what is no part of the
// blob, or cannot be read, is removed.
import { constants } from 'node:fs';
import { lstat, open, rm, type FileHandle } from 'node:fs/promises';
import { digestFile, type DigestMeter } from './digest.ts';
import { errnoOf } from '../files/disk-space.ts';

export interface PartialFile {
  readonly file: FileHandle;
  /** Over the bytes that the file has. */
  readonly meter: DigestMeter;
}

const WRITE_BY_OTHERS = 0o022;
/** Errors of this one file: without it, the next try works. */
const UNUSABLE = ['EACCES', 'EBADMSG', 'EIO', 'EISDIR', 'ELOOP', 'ENXIO', 'EPERM'];

/** Opens the file to append after its bytes; it is new, or begins anew, unless it has at most `mostBytes` readable ones. */
export async function openPartial(path: string, mostBytes: number): Promise<PartialFile> {
  if (!(await isPart(path, mostBytes))) await remove(path);
  try {
    return await openFile(path);
  } catch (thrown) {
    if (!UNUSABLE.includes(errnoOf(thrown) ?? '')) throw thrown;
    await remove(path);
    return openFile(path);
  }
}

/**
 * Not for a link, another name of a file elsewhere, one that others can change while it is received, or one that is
 * longer: it may be too long to be read at all.
 */
async function isPart(path: string, mostBytes: number): Promise<boolean> {
  try {
    const found = await lstat(path);
    const isOwn = found.uid === process.geteuid!() && (found.mode & WRITE_BY_OTHERS) === 0;
    return found.isFile() && isOwn && found.nlink === 1 && found.size <= mostBytes;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return true;
    throw thrown;
  }
}

async function openFile(path: string): Promise<PartialFile> {
  const file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  try {
    return { file, meter: await digestFile(file) };
  } catch (thrown) {
    await file.close();
    throw thrown;
  }
}

function remove(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
