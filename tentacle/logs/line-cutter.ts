// Cuts masked bytes into lines. Each line knows its end in the raw output, so that reading goes on exactly there after
// a restart. A line longer than the limit is cut at the limit, with a marker; the rest of it is dropped.
import type { MaskedPiece } from '../../lib/masking/masker.ts';

/** The longest line, so that no line fills a batch or a row of the server's store. */
export const LONGEST_LINE_BYTES = 64 * 1024;
export const CUT_MARKER = ' … [line cut at 64 KiB]';

export interface CutLine {
  readonly text: string;
  /** The offset in the raw output where the next line begins; inside the line when `cut`. */
  readonly sourceEnd: number;
  /** The rest of this line, up to the next line feed, is dropped. */
  readonly cut: boolean;
}

const LINE_FEED = 0x0a;

export class LineCutter {
  readonly #sourceOffset: number;
  #parts: Buffer[] = [];
  #length = 0;
  #dropping: boolean;
  #sourceEnd: number;
  #lineStart: number;

  /** `sourceOffset`: the offset in the raw output where the masker began to read. */
  constructor(start: { readonly sourceOffset: number; readonly dropping: boolean }) {
    this.#sourceOffset = start.sourceOffset;
    this.#sourceEnd = start.sourceOffset;
    this.#lineStart = start.sourceOffset;
    this.#dropping = start.dropping;
  }

  push(pieces: readonly MaskedPiece[]): CutLine[] {
    const lines: CutLine[] = [];
    for (const piece of pieces) {
      if (piece.masked) this.#add(piece.bytes, this.#sourceOffset + piece.sourceStart, lines);
      else this.#pushClear(piece, lines);
    }
    return lines;
  }

  /** Raw output before this offset is no longer needed. */
  get neededFrom(): number {
    return this.#dropping ? this.#sourceEnd : this.#lineStart;
  }

  /** The last line, when it does not end with a line feed. */
  end(sourceEnd: number): CutLine[] {
    if (this.#length === 0) return [];
    this.#sourceEnd = sourceEnd;
    return [this.#take('', false)];
  }

  #pushClear(piece: MaskedPiece, lines: CutLine[]): void {
    const { bytes } = piece;
    const start = this.#sourceOffset + piece.sourceStart;
    let from = 0;
    while (from < bytes.length) {
      const end = bytes.indexOf(LINE_FEED, from);
      if (end < 0) {
        this.#add(bytes.subarray(from), start + bytes.length, lines);
        return;
      }
      this.#add(bytes.subarray(from, end), start + end, lines);
      this.#sourceEnd = start + end + 1;
      if (this.#dropping) this.#dropping = false;
      else lines.push(this.#take('', false));
      this.#lineStart = this.#sourceEnd;
      from = end + 1;
    }
  }

  #add(bytes: Buffer, sourceEnd: number, lines: CutLine[]): void {
    this.#sourceEnd = sourceEnd;
    if (this.#dropping || bytes.length === 0) return;
    const room = LONGEST_LINE_BYTES - this.#length;
    // Copied: the piece is a window on a buffer that is reused.
    this.#parts.push(Buffer.from(bytes.subarray(0, room)));
    this.#length += Math.min(bytes.length, room);
    if (bytes.length <= room) return;
    lines.push(this.#take(CUT_MARKER, true));
    this.#dropping = true;
  }

  #take(marker: string, cut: boolean): CutLine {
    const bytes = Buffer.concat(this.#parts);
    const whole = cut ? bytes.subarray(0, endOfLastCharacter(bytes)) : bytes;
    this.#parts = [];
    this.#length = 0;
    // Invalid UTF-8 becomes U+FFFD. Control characters stay: they are data, and every output escapes them.
    const text = whole.toString('utf8');
    const grown = Buffer.from(text);
    if (grown.length <= LONGEST_LINE_BYTES) return { text: text + marker, sourceEnd: this.#sourceEnd, cut };
    const shown = grown.subarray(0, LONGEST_LINE_BYTES);
    return {
      text: shown.toString('utf8', 0, endOfLastCharacter(shown)) + CUT_MARKER,
      sourceEnd: this.#sourceEnd,
      cut,
    };
  }
}

/** Steps back over a character that the cut would split. */
function endOfLastCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
