// Which process has which file open, as /proc shows it to who may look: root at all, anybody else at their own.
import { closeSync, constants, ftruncateSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs';

/** What /proc adds to the name of a file that was removed. */
const REMOVED_MARK = ' (deleted)';
const BLOCK_BYTES = 512;

export interface OpenFile {
  readonly pid: number;
  readonly descriptor: string;
  /** Where the file is, or was when it was removed. */
  readonly path: string;
}

/** The files in `folder` that a process has open. `folder` is a real path, without links. */
export function openFilesOf(pid: number, folder: string): OpenFile[] {
  return descriptorsOf(pid).flatMap((descriptor) => {
    const path = pathOf(`/proc/${pid}/fd/${descriptor}`);
    return path?.startsWith(`${folder}/`) === true ? [{ pid, descriptor, path }] : [];
  });
}

/** Whether the process still has that file open. */
export function isOpen({ pid, descriptor, path }: OpenFile): boolean {
  return pathOf(`/proc/${pid}/fd/${descriptor}`) === path;
}

/**
 * Makes the file empty if it takes more disk than `mostBytes`; for those who append to it that is safe at any moment.
 */
export function cutAbove(file: OpenFile, mostBytes: number): void {
  const link = `/proc/${file.pid}/fd/${file.descriptor}`;
  if (statSync(link).blocks * BLOCK_BYTES <= mostBytes) return;
  // Not waiting, should the number stand for a pipe by now.
  const opened = openSync(link, constants.O_WRONLY | constants.O_NONBLOCK);
  try {
    if (pathOf(`/proc/self/fd/${opened}`) === file.path) ftruncateSync(opened);
  } finally {
    closeSync(opened);
  }
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
}

/** Undefined when there is no such process or descriptor. */
function pathOf(link: string): string | undefined {
  try {
    const path = readlinkSync(link);
    return path.endsWith(REMOVED_MARK) ? path.slice(0, -REMOVED_MARK.length) : path;
  } catch {
    return undefined;
  }
}
