// Errors of the system that pass: a full disk, and no descriptor or memory left. They say nothing of the file or process
// that was looked at, so nothing may be concluded from them.
import { setTimeout as delay } from 'node:timers/promises';
import { errnoOf } from '../lib/files/disk-space.ts';

const NO_ROOM = new Set(['DISK_FULL', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS']);
const NOTHING_LEFT = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);
const RETRY_MS = 200;

/** Whether the disk refused a write, so that trying again later may help. */
export function isDiskFull(error: unknown): boolean {
  return isDiskFullCode(errnoOf(error) ?? '');
}

/** As `isDiskFull`, for a code that another process reported. */
export function isDiskFullCode(code: string): boolean {
  return NO_ROOM.has(code);
}

/** Whether descriptors or memory were used up, so that trying again later may help. */
export function isShortage(error: unknown): boolean {
  return NOTHING_LEFT.has(errnoOf(error) ?? '');
}

/** What an error says. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The result of `work`, repeated for as long as there is a shortage; rejects when `signal` aborts first. */
export async function retryShortage<Result>(
  work: () => Result | Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isShortage(error)) throw error;
      await delay(RETRY_MS, undefined, { signal });
    }
  }
}

/** What `look` finds; `assumed` when a shortage keeps it from looking: the caller looks again later. */
export function lookOr<Result>(assumed: Result, look: () => Result): Result {
  try {
    return look();
  } catch (error) {
    if (isShortage(error)) return assumed;
    throw error;
  }
}
