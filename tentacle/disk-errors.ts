// Translates errors of the disk into errors of Isthmus.
import { IsthmusError } from '../contract/errors.ts';

const NO_ROOM = new Set(['DISK_FULL', 'ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS']);

/** Whether the disk refused a write, so that trying again later may help. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && 'code' in error && isDiskFullCode(String(error.code));
}

/** As `isDiskFull`, for a code that another process reported. */
export function isDiskFullCode(code: string): boolean {
  return NO_ROOM.has(code);
}

/** DISK_FULL for a write that the disk refused, INTERNAL for any other error; `what` says what could not be written. */
export function diskError(error: unknown, what: string): IsthmusError {
  if (error instanceof IsthmusError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new IsthmusError(isDiskFull(error) ? 'DISK_FULL' : 'INTERNAL', `${what}: ${reason}`, { cause: error });
}
