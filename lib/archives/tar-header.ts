// Reads the headers of a tar: ustar, GNU and pax. Strict where readers differ: what one of them would take for another
// file is rejected.
import { IsthmusError } from '../../contract/errors.ts';

export const BLOCK_BYTES = 512;

export interface TarHeader {
  readonly type: string;
  /** Bytes: which text they are is the caller's to decide. */
  readonly name: Buffer;
  readonly linkName: Buffer;
  readonly mode: number | undefined;
  readonly sizeBytes: number;
  readonly modifiedS: number | undefined;
}

/** Whether a block has only zeros: two of them end a tar. */
export function isZeroBlock(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** Reads a header; undefined when its checksum does not match. */
export function readTarHeader(block: Buffer): TarHeader | undefined {
  if (number(block, 148, 8) !== checksum(block)) return undefined;
  const sizeBytes = number(block, 124, 12);
  if (sizeBytes === undefined || sizeBytes < 0) throw damaged('an entry has a size that is no number');
  return {
    type: block[156] === 0 ? '0' : block.toString('latin1', 156, 157),
    name: nameOf(block),
    linkName: text(block, 157, 100),
    mode: number(block, 100, 8),
    sizeBytes,
    modifiedS: number(block, 136, 12),
  };
}

/** The records of a pax header by their lengths: a value may have line ends. */
export function readPaxRecords(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length;) {
    const length = /^[1-9]\d{0,6}(?= )/.exec(content.toString('latin1', at, at + 8))?.[0];
    const end = at + Number(length);
    const equals = content.indexOf('=', at);
    if (length === undefined || end > content.length || content[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw damaged('an extended header is damaged');
    }
    records.set(content.toString('latin1', at + length.length + 1, equals), content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** What is wrong with the tar itself. */
export function damaged(why: string): IsthmusError {
  return new IsthmusError('PACKAGE_FORMAT', `the tar inside is damaged: ${why}`);
}

/** GNU's old headers have times where the prefix of a name is in those of POSIX; star has them behind a shorter one. */
function nameOf(block: Buffer): Buffer {
  const name = text(block, 0, 100);
  if (block.toString('latin1', 257, 263) !== 'ustar\0') return name;
  const prefix = text(block, 345, block[475] === 0 ? 130 : 155);
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}

function text(block: Buffer, from: number, length: number): Buffer {
  const field = block.subarray(from, from + length);
  const zero = field.indexOf(0);
  return zero === -1 ? field : field.subarray(0, zero);
}

/** Octal digits, or the bytes of a number where the first bit is set; undefined for anything else. */
function number(block: Buffer, from: number, length: number): number | undefined {
  const field = block.subarray(from, from + length);
  if ((field[0]! & 0x80) !== 0) return Number(BigInt.asIntN(length * 8 - 1, BigInt(`0x${field.toString('hex')}`)));
  const digits = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'))?.[1];
  return digits === undefined ? undefined : Number.parseInt(`0${digits}`, 8);
}

function checksum(block: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK_BYTES; at += 1) if (at < 148 || at >= 156) sum += block[at]!;
  return sum;
}
