// Finds which processes have a file open, in /proc. Root sees all processes, other users only their own. Everything here
// throws while the agent itself has no descriptor or memory left to look.
import { closeSync, constants, ftruncateSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { isShortage } from '../../system-errors.ts';

/** /proc appends this to the path of a removed file. */
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
 * Truncates the file when it uses more disk than `mostBytes`. Safe at any moment for a writer that appends.
 */
export function cutAbove(file: OpenFile, mostBytes: number): void {
  const link = `/proc/${file.pid}/fd/${file.descriptor}`;
  if (statSync(link).blocks * BLOCK_BYTES <= mostBytes) return;
  // Non-blocking, because the descriptor may be a pipe by now.
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
  } catch (error) {
    if (isShortage(error)) throw error;
    return [];
  }
}

/** Undefined when there is no such process or descriptor. */
function pathOf(link: string): string | undefined {
  try {
    const path = readlinkSync(link);
    return path.endsWith(REMOVED_MARK) ? path.slice(0, -REMOVED_MARK.length) : path;
  } catch (error) {
    if (isShortage(error)) throw error;
    return undefined;
  }
}
