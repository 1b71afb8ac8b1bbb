// Reads text that people wrote in files: strictly, because what is not UTF-8 would silently become other text, and
// without what editors on Windows add.
import { isUtf8 } from 'node:buffer';
import { IsthmusError } from '../../contract/errors.ts';

const UTF8_MARK = '\ufeff';

/** Byte order marks of encodings that are not UTF-8. */
const OTHER_MARKS: readonly (readonly [string, Buffer])[] = [
  ['UTF-16', Buffer.from([0xff, 0xfe])],
  ['UTF-16', Buffer.from([0xfe, 0xff])],
];

const BLOCK_BYTES = 64 * 1024;

export interface ReadText {
  readonly text: string;
  /** Whether a byte order mark was taken off. */
  readonly hadMark: boolean;
}

/** The text of `bytes`, without its byte order mark. TEXT_INVALID, with `name` and the offset, when it is not UTF-8. */
export function decodeText(bytes: Buffer, name: string): ReadText {
  rejectOtherMarks(bytes, name);
  if (!isUtf8(bytes)) {
    const offset = firstInvalid(bytes);
    const byte = bytes[offset]!.toString(16).padStart(2, '0');
    throw new IsthmusError('TEXT_INVALID', `${name} is not UTF-8: byte 0x${byte} at offset ${offset}`);
  }
  const text = bytes.toString('utf8');
  const hadMark = text.startsWith(UTF8_MARK);
  return { text: hadMark ? text.slice(1) : text, hadMark };
}

/** The first line of `bytes` as it is, without a byte order mark and the line's end. TEXT_INVALID for UTF-16. */
export function firstLine(bytes: Buffer, name: string): Buffer {
  rejectOtherMarks(bytes, name);
  const mark = Buffer.from(UTF8_MARK);
  const content = bytes.subarray(0, mark.length).equals(mark) ? bytes.subarray(mark.length) : bytes;
  const lineFeed = content.indexOf(0x0a);
  if (lineFeed < 0) return content;
  return content.subarray(0, content[lineFeed - 1] === 0x0d ? lineFeed - 1 : lineFeed);
}

/** A script with a line feed at the end of each line: `set -e\r` is not `set -e`. */
export function normaliseScript(body: string): { readonly body: string; readonly changed: boolean } {
  const normal = body.replace(UTF8_MARK_AT_START, '').replaceAll('\r\n', '\n');
  return { body: normal, changed: normal !== body };
}

const UTF8_MARK_AT_START = new RegExp(`^${UTF8_MARK}`);

function rejectOtherMarks(bytes: Buffer, name: string): void {
  const found = OTHER_MARKS.find(([, mark]) => bytes.subarray(0, mark.length).equals(mark));
  if (found !== undefined) throw new IsthmusError('TEXT_INVALID', `${name} is ${found[0]}: save it as UTF-8`);
}

/** The offset of the first byte that begins no whole character of UTF-8. */
function firstInvalid(bytes: Buffer): number {
  let at = 0;
  for (let next = endOfBlock(bytes, at); next > at && isUtf8(bytes.subarray(at, next)); next = endOfBlock(bytes, at))
    at = next;
  for (let next = endOfCharacter(bytes, at); next !== undefined; next = endOfCharacter(bytes, at)) at = next;
  return at;
}

/** Where a block of whole characters ends that begins at `start`, if its characters are whole. */
function endOfBlock(bytes: Buffer, start: number): number {
  let end = Math.min(start + BLOCK_BYTES, bytes.length);
  while (end > start && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return end;
}

function endOfCharacter(bytes: Buffer, start: number): number | undefined {
  const length = [1, 2, 3, 4].find(
    (size) => start + size <= bytes.length && isUtf8(bytes.subarray(start, start + size)),
  );
  return length === undefined ? undefined : start + length;
}
