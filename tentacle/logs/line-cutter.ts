// Cuts masked bytes into lines. Each line knows its end in the raw output, so that reading goes on exactly there after
// a restart. A line that is too long, or that is flushed before it ends, is given out in parts: all but the last are
// open. In a line that was given out in part, or is too long, a carriage return overwrites: what it overwrote before
// anybody saw it is dropped, so that a progress bar fills no log. In other lines it is data.
import type { MaskedPiece } from '../../lib/masking/masker.ts';
import type { LineEnding__Output as LineEnding } from '../../proto/gen/isthmus/tentacle/v1/LineEnding.ts';
import { endOfLastCharacter, UnfinishedLine } from './unfinished-line.ts';

/** The longest text of a line, so that no line fills a batch or a row of the server's store. */
export const LONGEST_LINE_BYTES = 64 * 1024;
/** Invalid UTF-8 grows: each byte becomes U+FFFD, of three. */
const LONGEST_INVALID_BYTES = Math.floor(LONGEST_LINE_BYTES / 3);

export interface CutLine {
  readonly text: string;
  readonly ending: LineEnding;
  /** The offset in the raw output where the next line begins. */
  readonly sourceEnd: number;
}

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class LineCutter {
  readonly #sourceOffset: number;
  readonly #line = new UnfinishedLine();
  /** The ending of the last line that was given out. */
  #last: LineEnding;
  /** Whether carriage returns overwrite in this line. */
  #overwrites: boolean;
  #neededFrom: number;

  /** `sourceOffset`: where in the raw output the masker began to read. `last`: the ending of the line before. */
  constructor({ sourceOffset, last }: { readonly sourceOffset: number; readonly last: LineEnding }) {
    this.#sourceOffset = sourceOffset;
    this.#neededFrom = sourceOffset;
    this.#last = last;
    this.#overwrites = last !== 'NEWLINE';
  }

  /** Whether there is output that was not given out yet. */
  get unfinished(): boolean {
    return this.#line.length > 0;
  }

  /** Raw output before this offset is no longer needed. */
  get neededFrom(): number {
    return this.#neededFrom;
  }

  push(pieces: readonly MaskedPiece[]): CutLine[] {
    const lines: CutLine[] = [];
    for (const piece of pieces) {
      const sourceStart = this.#sourceOffset + piece.sourceStart;
      if (piece.masked) this.#add({ ...piece, sourceStart }, lines);
      else this.#pushClear(piece.bytes, sourceStart, lines);
    }
    return lines;
  }

  /** What stands of an unfinished line. */
  flush(): CutLine[] {
    const lines: CutLine[] = [];
    this.#dropOverwritten(lines);
    const bytes = this.#line.bytes();
    // A carriage return at the end may belong to a line feed, or overwrite: what follows will tell.
    const standing = bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
    let left = endOfLastCharacter(standing);
    while (left > 0) left -= this.#giveOpen(left, lines);
    return lines;
  }

  /** The last line, when it does not end with a line feed. */
  end(sourceEnd: number): CutLine[] {
    const lines: CutLine[] = [];
    if (this.#last === 'OPEN' || this.#line.length > 0) this.#endLine(sourceEnd, lines);
    return lines;
  }

  #pushClear(bytes: Buffer, sourceStart: number, lines: CutLine[]): void {
    let from = 0;
    const addTo = (end: number): void => {
      this.#add({ bytes: bytes.subarray(from, end), sourceStart: sourceStart + from, masked: false }, lines);
      from = end;
    };
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      addTo(end);
      from = end + 1;
      this.#endLine(sourceStart + from, lines);
    }
    addTo(bytes.length);
  }

  #add(piece: MaskedPiece, lines: CutLine[]): void {
    this.#line.add(piece);
    if (this.#line.length <= LONGEST_LINE_BYTES) return;
    this.#dropOverwritten(lines);
    while (this.#line.length > LONGEST_LINE_BYTES) this.#giveOpen(this.#line.length, lines);
  }

  #endLine(sourceEnd: number, lines: CutLine[]): void {
    if (this.#overwrites) this.#dropOverwritten(lines);
    while (this.#fitting(this.#line.length) < this.#line.length) this.#giveOpen(this.#line.length, lines);
    const { bytes } = this.#line.take(this.#line.length);
    this.#give(bytes, 'NEWLINE', sourceEnd, lines);
  }

  /** Drops what a carriage return has overwritten; what was given out of it ends with one. */
  #dropOverwritten(lines: CutLine[]): void {
    const bytes = this.#line.bytes();
    const last = bytes.subarray(0, -1).lastIndexOf(CARRIAGE_RETURN);
    if (last < 0) return;
    this.#overwrites = true;
    const open = this.#last === 'OPEN';
    let left = open ? bytes.indexOf(CARRIAGE_RETURN) : 0;
    const dropped = last + 1 - left;
    while (left > 0) left -= this.#giveOpen(left, lines);
    const { sourceEnd } = this.#line.take(dropped);
    if (open) this.#give(Buffer.alloc(0), 'RETURN', sourceEnd, lines);
  }

  /** Gives out the first bytes, at most `most`, as an open line; returns how many these are. */
  #giveOpen(most: number, lines: CutLine[]): number {
    const { bytes, sourceEnd } = this.#line.take(this.#fitting(most));
    this.#give(bytes, 'OPEN', sourceEnd, lines);
    return bytes.length;
  }

  /** How many of the first `count` bytes fit into one line; when not all, up to the end of a character. */
  #fitting(count: number): number {
    if (count <= LONGEST_INVALID_BYTES) return count;
    const bytes = this.#line.bytes().subarray(0, Math.min(count, LONGEST_LINE_BYTES));
    const fits = Buffer.byteLength(bytes.toString('utf8')) <= LONGEST_LINE_BYTES;
    if (fits && bytes.length === count) return count;
    return endOfLastCharacter(fits ? bytes : bytes.subarray(0, LONGEST_INVALID_BYTES));
  }

  #give(bytes: Buffer, ending: LineEnding, sourceEnd: number, lines: CutLine[]): void {
    // Invalid UTF-8 becomes U+FFFD. Control characters stay: they are data, and every output escapes them.
    lines.push({ text: bytes.toString('utf8'), ending, sourceEnd });
    this.#last = ending;
    this.#overwrites = ending !== 'NEWLINE';
    this.#neededFrom = sourceEnd;
  }
}
