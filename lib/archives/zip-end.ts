// Reads the end of a zip: where its directory is, and how many records that claims to have. The directory lies before
// it without a gap, nothing comes after it, and there is no second one for another reader to find.
import type { FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../../contract/errors.ts';

const END_BYTES = 22;
const LONGEST_COMMENT_BYTES = 0xffff;
const LOCATOR_BYTES = 20;
const END64_BYTES = 56;

const SIGNATURE = { end: 0x06054b50, locator: 0x07064b50, end64: 0x06064b50 };

export interface ZipDirectory {
  readonly records: number;
  /** Where it starts and ends in the file. */
  readonly start: number;
  readonly end: number;
}

/** Finds the directory; PACKAGE_FORMAT when the file does not end as a zip does, or in two ways. */
export async function readZipEnd(file: FileHandle, sizeBytes: number): Promise<ZipDirectory> {
  const tailFrom = Math.max(0, sizeBytes - END_BYTES - LONGEST_COMMENT_BYTES);
  const tail = await bytesAt(file, tailFrom, sizeBytes - tailFrom);
  const at = endOf(tail);
  const end = tail.subarray(at);
  const claims = {
    disk: end.readUInt16LE(4),
    directoryDisk: end.readUInt16LE(6),
    recordsHere: end.readUInt16LE(8),
    records: end.readUInt16LE(10),
    bytes: end.readUInt32LE(12),
    start: end.readUInt32LE(16),
  };
  const large = await readEnd64(file, tailFrom + at);
  if (large !== undefined) assertSame(claims, large.claims);
  const { disk, directoryDisk, recordsHere, records, bytes, start } = large?.claims ?? claims;
  if (disk !== 0 || directoryDisk !== 0) throw lie('it is one of several parts');
  if (recordsHere !== records) throw lie('it is one of several parts, or counts its entries twice');
  const directory = { records, start, end: large?.at ?? tailFrom + at };
  if (start + bytes > directory.end) throw lie('its directory is larger than the file');
  if (start + bytes < directory.end)
    throw lie('there are bytes that it does not claim before its directory or its end');
  return directory;
}

/** What is wrong with the zip as a whole. */
export function lie(why: string): IsthmusError {
  return new IsthmusError('PACKAGE_FORMAT', `this zip is damaged, or reads differently elsewhere: ${why}`);
}

interface Claims {
  readonly disk: number;
  readonly directoryDisk: number;
  readonly recordsHere: number;
  readonly records: number;
  readonly bytes: number;
  readonly start: number;
}

function endOf(tail: Buffer): number {
  let found: number | undefined;
  let isMarked = false;
  for (let at = tail.length - END_BYTES; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) !== SIGNATURE.end) continue;
    const isEnd = at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length;
    // Some readers take the last mark whatever follows it.
    if (isEnd && isMarked) throw lie('it has two ends, one in the comment of the other');
    isMarked = true;
    if (isEnd) found = at;
  }
  if (found !== undefined) return found;
  if (isMarked) throw lie('other bytes follow its end, or it is cut short');
  throw new IsthmusError('PACKAGE_FORMAT', 'this is not a whole zip: it has no directory at its end');
}

/** The end in 64 bits, which lies between the directory and the end in 32; undefined when there is none. */
async function readEnd64(
  file: FileHandle,
  endAt: number,
): Promise<{ readonly at: number; readonly claims: Claims } | undefined> {
  if (endAt < LOCATOR_BYTES) return undefined;
  const locator = await bytesAt(file, endAt - LOCATOR_BYTES, LOCATOR_BYTES);
  if (locator.readUInt32LE(0) !== SIGNATURE.locator) return undefined;
  // The parts are counted from one; some packers count none.
  if (locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) > 1) throw lie('its 64-bit end lies in another part');
  const at = Number(locator.readBigUInt64LE(8));
  const end = at + END64_BYTES <= endAt ? await bytesAt(file, at, END64_BYTES) : Buffer.alloc(END64_BYTES);
  if (end.readUInt32LE(0) !== SIGNATURE.end64) throw lie('its 64-bit end is missing');
  // Some readers look for it at this place, whatever its own size and the locator say.
  const isWhole = at + END64_BYTES === endAt - LOCATOR_BYTES && Number(end.readBigUInt64LE(4)) === END64_BYTES - 12;
  if (!isWhole) throw lie('other bytes follow its 64-bit end');
  const claims = {
    disk: end.readUInt32LE(16),
    directoryDisk: end.readUInt32LE(20),
    recordsHere: Number(end.readBigUInt64LE(24)),
    records: Number(end.readBigUInt64LE(32)),
    bytes: Number(end.readBigUInt64LE(40)),
    start: Number(end.readBigUInt64LE(48)),
  };
  return { at, claims };
}

/** A reader that knows only 32 bits takes those; where all bits are set, it takes none. */
function assertSame(small: Claims, large: Claims): void {
  const fits = (value: number, wanted: number, unset: number): boolean => value === wanted || value === unset;
  const same =
    fits(small.disk, large.disk, 0xffff) &&
    fits(small.directoryDisk, large.directoryDisk, 0xffff) &&
    fits(small.recordsHere, large.recordsHere, 0xffff) &&
    fits(small.records, large.records, 0xffff) &&
    fits(small.bytes, large.bytes, 0xffffffff) &&
    fits(small.start, large.start, 0xffffffff);
  if (!same) throw lie('its two ends claim different directories');
}

async function bytesAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(length), position });
  return buffer.subarray(0, bytesRead);
}
