// Checks that the headers of a zip's entries tell what its directory tells, and that they fill the file: a reader that
// streams goes by them alone.
import type { FileHandle } from 'node:fs/promises';
import type { Entry, LocalFileHeader } from 'yauzl';
import { IsthmusError } from '../../contract/errors.ts';
import { shown } from './names.ts';
import { lie } from './zip-end.ts';
import { EXTRA, extraFields, rejectTwins } from './zip-extra.ts';

/** Whether the entry is encrypted, has a descriptor, is patched or masked, and the encoding of its name. */
const COMPARED_FLAGS = 0x2869;
const HAS_DESCRIPTOR = 0x8;
const UNSET = 0xffffffff;
const LONGEST_DESCRIPTOR_BYTES = 24;

interface Claims {
  readonly crc32: number;
  readonly compressedSize: number;
  readonly uncompressedSize: number;
}

interface EntryRange extends Claims {
  readonly start: number;
  /** Where its content ends; a descriptor may follow. */
  readonly end: number;
  readonly hasDescriptor: boolean;
}

export class ZipLayout {
  readonly #ranges: EntryRange[] = [];

  /** Takes an entry of the directory with its own header, which must tell the same. */
  add(entry: Entry, local: LocalFileHeader): void {
    for (const extra of [entry.extraFieldRaw, local.extraField]) rejectTwins(extra);
    const { crc32, compressedSize, uncompressedSize, relativeOffsetOfLocalHeader: start } = entry;
    const hasDescriptor = (entry.generalPurposeBitFlag & HAS_DESCRIPTOR) !== 0;
    const sameKind =
      (entry.generalPurposeBitFlag & COMPARED_FLAGS) === (local.generalPurposeBitFlag & COMPARED_FLAGS) &&
      entry.compressionMethod === local.compressionMethod;
    if (!sameKind || !sameClaims(entry, localClaims(local), hasDescriptor)) {
      throw lie(`the header of ${shown(entry.fileNameRaw.toString())} differs from the directory`);
    }
    const end = local.fileDataStart + compressedSize;
    this.#ranges.push({ start, end, hasDescriptor, crc32, compressedSize, uncompressedSize });
  }

  /** Checks that the entries fill the file up to the directory. */
  async assertFull(file: FileHandle, directoryStart: number): Promise<void> {
    this.#ranges.sort((a, b) => a.start - b.start);
    let at = 0;
    for (const [index, range] of this.#ranges.entries()) {
      if (range.start < at) throw new IsthmusError('PACKAGE_BOMB', 'two entries of the archive share their bytes');
      if (range.start > at) throw lie('there are bytes that no entry claims');
      const next = this.#ranges[index + 1]?.start ?? directoryStart;
      at = range.end;
      if (range.hasDescriptor) at += await descriptorBytes(file, range, next);
    }
    if (at !== directoryStart) throw lie('there are bytes that no entry claims');
  }
}

function localClaims({ crc32, compressedSize, uncompressedSize, extraField: extra }: LocalFileHeader): Claims {
  const [large] = extraFields(extra, EXTRA.zip64);
  let at = 0;
  const resolve = (value: number): number => {
    if (value !== UNSET || large === undefined || at + 8 > large.length) return value;
    at += 8;
    return Number(large.readBigUInt64LE(at - 8));
  };
  const size = resolve(uncompressedSize);
  return { crc32, uncompressedSize: size, compressedSize: resolve(compressedSize) };
}

/** What a descriptor tells later may be zero in the header. */
function sameClaims(entry: Claims, local: Claims, hasDescriptor: boolean): boolean {
  const same = (a: number, b: number): boolean => a === b || (hasDescriptor && b === 0);
  return (
    same(entry.crc32, local.crc32) &&
    same(entry.compressedSize, local.compressedSize) &&
    same(entry.uncompressedSize, local.uncompressedSize)
  );
}

/** The size of the descriptor that fills the bytes up to `next`. It may have a signature, and sizes of 64 bits. */
async function descriptorBytes(file: FileHandle, range: EntryRange, next: number): Promise<number> {
  const length = next - range.end;
  if (length < 0) throw new IsthmusError('PACKAGE_BOMB', 'two entries of the archive share their bytes');
  const buffer = Buffer.alloc(Math.min(length, LONGEST_DESCRIPTOR_BYTES));
  if (buffer.length > 0) await file.read({ buffer, position: range.end });
  if (descriptors(range).some((wanted) => wanted.length === length && wanted.equals(buffer))) return length;
  throw lie('what follows the content of an entry is not what the directory tells of it');
}

function descriptors({ crc32, compressedSize, uncompressedSize }: Claims): Buffer[] {
  const signature = Buffer.from('PK\x07\x08', 'latin1');
  const large = Buffer.alloc(20);
  large.writeUInt32LE(crc32, 0);
  large.writeBigUInt64LE(BigInt(compressedSize), 4);
  large.writeBigUInt64LE(BigInt(uncompressedSize), 12);
  const small = Buffer.concat([large.subarray(0, 8), large.subarray(12, 16)]);
  return [small, large].flatMap((body) => [body, Buffer.concat([signature, body])]);
}
