// Masks sensitive values in a stream of bytes, whatever its chunking: raw, base64 at each alignment, URL-encoded,
// JSON- and XML-escaped, shell-quoted, hex. mask-patterns.ts has the patterns; this file finds and replaces them.
//
// Two automata (Aho–Corasick) run side by side. `exact` sees every byte. `folded` sees through line breaks, because
// base64 and hex dumps are wrapped, and `fold` breaks any text. Bytes that either may still need are held back, so that
// no prefix leaks at the end of a chunk. Every byte of every occurrence is covered, so that overlapping values cannot
// reveal each other.
import { LineBreaks } from '../text/line-breaks.ts';
import { lineMasker, type LineMasker } from './line-masker.ts';
import { automataOf, type Automata } from './mask-automata.ts';
import type { Automaton } from './mask-automaton.ts';
import { checkMaskable, isMaskable, MINIMUM_MASKABLE_LENGTH } from './mask-patterns.ts';

export type { LineMasker } from './line-masker.ts';
export { checkMaskable, isMaskable, MINIMUM_MASKABLE_LENGTH };

/** Replaces a sensitive value of any length. */
export const MASK_TEXT = '********';

const maskBytes = Buffer.from(MASK_TEXT);
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** A shorter beginning of a wrapped value is not held across a line break, which would delay the line. */
const HELD_ACROSS_LINE_BREAK = 4;
/** More line breaks in a row than this are no wrapping; bounds the held bytes. */
const LONGEST_LINE_BREAK = 2;
/** At a cut-off end, a beginning of a value is masked from this length on. */
const SHORTEST_MASKED_BEGINNING = 4;

export interface Masker {
  /** Masks a whole text. */
  mask(text: string): string;
  /** A new stream, which takes chunks in order. */
  stream(): MaskStream;
  /** A stream of lines; `resumed` when it continues one that was masked before. */
  lines(options: { readonly resumed: boolean }): LineMasker;
}

/** A stretch of output: `bytes` as they were in the source from `sourceStart` on, or the mask for a value there. */
export interface MaskedPiece {
  readonly bytes: Buffer;
  readonly sourceStart: number;
  readonly masked: boolean;
}

export interface MaskStream {
  /** The masked bytes that are safe to show; bytes that may become a sensitive value are held back. */
  push(chunk: Uint8Array): Buffer;
  /** The rest. `truncated`: the source was cut off, so that its end may be the beginning of a value. */
  end(options?: { readonly truncated: boolean }): Buffer;
  /** As `push` and `end`, with the source offset of each piece (from the first byte pushed). */
  pushPieces(chunk: Uint8Array): MaskedPiece[];
  endPieces(options?: { readonly truncated: boolean }): MaskedPiece[];
  /** Bytes held back now. */
  readonly heldBytes: number;
}

/**
 * A masker for `values`. Empty values are ignored. Throws SENSITIVE_TOO_SHORT for a value too short to mask, and
 * SENSITIVE_TOO_LARGE for too many bytes of values: the caller must then show nothing at all.
 */
export function createMasker(values: readonly string[]): Masker {
  checkMaskable(values);
  const stream = (): MaskStream => streamOf(automataOf(values, 'anything'));
  return {
    stream,
    lines: ({ resumed }) => {
      // Nothing can be held back, so folding anything would mask too many line ends that look like a beginning.
      const automata = automataOf(values, 'encodings');
      const { exact, folded } = automata;
      if (exact.empty) return { next: (line) => line };
      const rests = [
        { automaton: exact, skipped: new Set<number>() },
        { automaton: folded, skipped: new Set([LINE_FEED, CARRIAGE_RETURN]) },
      ];
      return lineMasker(streamOf(automata), MASK_TEXT, resumed ? rests : []);
    },
    mask: (text) => {
      const one = stream();
      return Buffer.concat([one.push(Buffer.from(text)), one.end()]).toString();
    },
  };
}

function streamOf(automata: Automata): MaskStream {
  return automata.exact.empty ? unmaskedStream() : new TwoAutomataStream(automata);
}

function unmaskedStream(): MaskStream {
  let position = 0;
  return {
    push: (chunk) => Buffer.from(chunk),
    end: () => Buffer.alloc(0),
    pushPieces: (chunk) => {
      const piece = { bytes: Buffer.from(chunk), sourceStart: position, masked: false };
      position += chunk.length;
      return [piece];
    },
    endPieces: () => [],
    heldBytes: 0,
  };
}

/** A stretch of the source, [start, end), that is part of a sensitive value. */
interface Stretch {
  start: number;
  end: number;
}

class TwoAutomataStream implements MaskStream {
  readonly #exact: Automaton;
  readonly #folded: Automaton;
  #exactState = 0;
  #foldedState = 0;
  /** The source offset of the held bytes. */
  #heldFrom = 0;
  #held: Buffer = Buffer.alloc(0);
  /** Stretches not yet written, ordered and disjoint. */
  #stretches: Stretch[] = [];
  /** Source bytes before this belong to a value whose mask has been written. */
  #coveredTo = 0;
  readonly #breaks = new LineBreaks();
  #breakRun = 0;
  /** The folded automaton holds back nothing before this. */
  #foldedFloor = 0;

  constructor({ exact, folded }: Automata) {
    this.#exact = exact;
    this.#folded = folded;
  }

  get heldBytes(): number {
    return this.#held.length;
  }

  push(chunk: Uint8Array): Buffer {
    return Buffer.concat(this.pushPieces(chunk).map(({ bytes }) => bytes));
  }

  end(options: { readonly truncated: boolean } = { truncated: false }): Buffer {
    return Buffer.concat(this.endPieces(options).map(({ bytes }) => bytes));
  }

  pushPieces(chunk: Uint8Array): MaskedPiece[] {
    const chunkStart = this.#heldFrom + this.#held.length;
    this.#scanExact(chunk, chunkStart);
    this.#scanFolded(chunk, chunkStart);
    this.#held = Buffer.concat([this.#held, chunk]);
    return this.#emit(this.#undecidedFrom(chunkStart + chunk.length));
  }

  endPieces(options: { readonly truncated: boolean } = { truncated: false }): MaskedPiece[] {
    const end = this.#heldFrom + this.#held.length;
    if (options.truncated) {
      const start = this.#undecidedFrom(end);
      if (end - start >= SHORTEST_MASKED_BEGINNING) this.#cover({ start, end });
    }
    return this.#emit(end);
  }

  #scanExact(chunk: Uint8Array, chunkStart: number): void {
    const automaton = this.#exact;
    let state = this.#exactState;
    for (let index = 0; index < chunk.length; index += 1) {
      state = automaton.step(state, chunk[index]!);
      if (state === 0) continue;
      const length = automaton.longestMatch(state);
      if (length > 0) this.#cover({ start: chunkStart + index + 1 - length, end: chunkStart + index + 1 });
    }
    this.#exactState = state;
  }

  #scanFolded(chunk: Uint8Array, chunkStart: number): void {
    const automaton = this.#folded;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index]!;
      if (byte === LINE_FEED || byte === CARRIAGE_RETURN) {
        if (this.#foldedState !== 0) this.#crossLineBreak(chunkStart + index);
        continue;
      }
      const state = automaton.step(this.#foldedState, byte);
      this.#foldedState = state;
      if (state === 0) continue;
      this.#breakRun = 0;
      const end = chunkStart + index + 1;
      const length = automaton.longestMatch(state);
      if (length > 0) this.#cover({ start: this.#breaks.startOf(length, end), end });
    }
  }

  #crossLineBreak(position: number): void {
    this.#breakRun += 1;
    const depth = this.#folded.depth(this.#foldedState);
    if (this.#breakRun > LONGEST_LINE_BREAK) {
      this.#foldedState = 0;
      this.#breakRun = 0;
      return;
    }
    if (depth < HELD_ACROSS_LINE_BREAK) this.#foldedFloor = position + 1;
    this.#breaks.add(position, this.#breaks.startOf(depth, position));
  }

  #undecidedFrom(end: number): number {
    const exactFrom = end - this.#exact.depth(this.#exactState);
    if (this.#foldedState === 0) return exactFrom;
    const foldedFrom = this.#breaks.startOf(this.#folded.depth(this.#foldedState), end);
    return Math.min(exactFrom, Math.max(foldedFrom, this.#foldedFloor));
  }

  /** Adds a stretch, merged with those it overlaps. */
  #cover(found: Stretch): void {
    const stretch = { start: Math.max(found.start, this.#heldFrom), end: found.end };
    let at = this.#stretches.length;
    while (at > 0 && this.#stretches[at - 1]!.end > stretch.start) at -= 1;
    let joined = 0;
    for (let index = at; index < this.#stretches.length; index += 1) {
      const other = this.#stretches[index]!;
      if (other.start >= stretch.end) break;
      stretch.start = Math.min(stretch.start, other.start);
      stretch.end = Math.max(stretch.end, other.end);
      joined += 1;
    }
    this.#stretches.splice(at, joined, stretch);
  }

  /** Writes everything before `limit`; a stretch that begins before it is masked, even if it ends later. */
  #emit(limit: number): MaskedPiece[] {
    const output: MaskedPiece[] = [];
    let position = this.#heldFrom;
    while (position < limit) {
      if (this.#coveredTo > position) {
        this.#swallowOverlapping();
        position = Math.min(this.#coveredTo, limit);
        continue;
      }
      const next = this.#stretches[0];
      const clearTo = Math.min(limit, next?.start ?? limit);
      if (clearTo > position) {
        output.push({ bytes: this.#slice(position, clearTo), sourceStart: position, masked: false });
      }
      position = clearTo;
      if (next === undefined || next.start >= limit) continue;
      output.push({ bytes: maskBytes, sourceStart: next.start, masked: true });
      this.#coveredTo = next.end;
      this.#stretches.shift();
    }
    this.#held = Buffer.from(this.#slice(position, this.#heldFrom + this.#held.length));
    this.#heldFrom = position;
    return output;
  }

  /** Merges stretches that begin inside the masked bytes. */
  #swallowOverlapping(): void {
    let next = this.#stretches[0];
    while (next !== undefined && next.start < this.#coveredTo) {
      this.#coveredTo = Math.max(this.#coveredTo, next.end);
      this.#stretches.shift();
      next = this.#stretches[0];
    }
  }

  #slice(from: number, to: number): Buffer {
    return this.#held.subarray(from - this.#heldFrom, to - this.#heldFrom);
  }
}
