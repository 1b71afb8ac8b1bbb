// Masks a stream of lines, each of which must be written before the next one is known: nothing can be held back. The
// end of a line that could be the beginning of a value is masked at once, even if no value follows. The automata
// continue over the end of the line, to find the rest of a multi-line value or of a wrapped form in the following
// lines, and the rest of any value where the next line goes on with an open one.
//
// A stream that resumes after a crash may begin in the middle of a value whose beginning was masked. So its beginning
// is masked for as long as it may be the rest of any value, from any offset in it.
import type { LineEnding } from '../../contract/task-stream.ts';
import type { Automaton } from './mask-automaton.ts';

/** The bytes at the end of a line. */
const END_BYTES: Readonly<Record<LineEnding, Buffer>> = {
  newline: Buffer.from('\n'),
  return: Buffer.from('\r'),
  open: Buffer.alloc(0),
};
/** Fewer bytes match by chance and reveal nothing. */
const SHORTEST_REST = 4;

export interface LineMasker {
  /** Masks the stream's next line, given without the bytes at its end. */
  next(line: string, ending: LineEnding): string;
}

/** A stretch of output, and where in the source it comes from. */
interface Piece {
  readonly bytes: Buffer;
  readonly sourceStart: number;
  readonly masked: boolean;
}

/** The part of a masked stream that is used here. */
interface PieceStream {
  pushPieces(chunk: Uint8Array): Piece[];
  endPieces(options: { readonly truncated: boolean }): Piece[];
}

/** Matches the rest of a pattern from any offset. Bytes in `skipped` do not count: a form may be wrapped there. */
interface RestOptions {
  readonly automaton: Automaton;
  readonly skipped: ReadonlySet<number>;
}

/** A line masker over `stream`; `rests` for a stream that begins in the middle. */
export function lineMasker(stream: PieceStream, maskText: string, rests: readonly RestOptions[]): LineMasker {
  const mask = Buffer.from(maskText);
  const beginnings = rests.map((options) => new Rest(options));
  let position = 0;
  return {
    next(line, ending) {
      const bytes = Buffer.from(line);
      const endBytes = END_BYTES[ending];
      const end = position + bytes.length;
      const hiddenTo = position + Math.max(0, ...beginnings.map((rest) => rest.lengthIn(bytes, endBytes)));
      const pieces = [...stream.pushPieces(bytes), ...stream.pushPieces(endBytes)];
      pieces.push(...stream.endPieces({ truncated: true }));
      const shown = pieces.flatMap((piece) => within(piece, hiddenTo, end));
      if (hiddenTo > position) shown.unshift(mask);
      position = end + endBytes.length;
      return Buffer.concat(shown).toString();
    },
  };
}

/** The part of a piece that lies in [from, to). */
function within({ bytes, sourceStart, masked }: Piece, from: number, to: number): Buffer[] {
  if (masked) return sourceStart >= from && sourceStart < to ? [bytes] : [];
  const part = bytes.subarray(Math.max(0, from - sourceStart), Math.max(0, to - sourceStart));
  return part.length === 0 ? [] : [part];
}

class Rest {
  readonly #options: RestOptions;
  /** The offsets in patterns that the bytes so far may have led to; undefined before the first byte: all of them. */
  #offsets: readonly number[] | undefined;
  #length = 0;

  constructor(options: RestOptions) {
    this.#options = options;
  }

  /** How many bytes at the beginning of the next line may still be the rest of a value. */
  lengthIn(line: Uint8Array, endBytes: Uint8Array): number {
    let matched = 0;
    while (matched < line.length && this.#take(line[matched]!)) matched += 1;
    if (matched === line.length) endBytes.forEach((byte) => this.#take(byte));
    return this.#length < SHORTEST_REST ? 0 : matched;
  }

  #take(byte: number): boolean {
    const { automaton, skipped } = this.#options;
    if (this.#offsets?.length === 0) return false;
    if (skipped.has(byte)) return true;
    this.#offsets =
      this.#offsets === undefined ? automaton.offsetsAfter(byte) : automaton.offsetsNext(this.#offsets, byte);
    if (this.#offsets.length === 0) return false;
    this.#length += 1;
    return true;
  }
}
