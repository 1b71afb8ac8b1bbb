// The masked bytes of a line that has not ended yet, each with its offset in the raw output.
import type { MaskedPiece } from '../../lib/masking/masker.ts';

interface Taken {
  readonly bytes: Buffer;
  /** The offset in the raw output where what follows begins. */
  readonly sourceEnd: number;
}

export class UnfinishedLine {
  #pieces: MaskedPiece[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(piece: MaskedPiece): void {
    if (piece.bytes.length === 0) return;
    // Copied: the piece is a window on a buffer that is reused.
    this.#pieces.push({ ...piece, bytes: Buffer.from(piece.bytes) });
    this.#length += piece.bytes.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#pieces.map(({ bytes }) => bytes));
  }

  /** Removes the first bytes: `most`, or a few less, so that no mask is divided. */
  take(most: number): Taken {
    const taken: Buffer[] = [];
    let room = most;
    let sourceEnd = 0;
    let whole = 0;
    for (const piece of this.#pieces) {
      if (room === 0 || (piece.masked && piece.bytes.length > room)) break;
      const bytes = piece.bytes.subarray(0, room);
      taken.push(bytes);
      room -= bytes.length;
      // Inside the value that a mask stands for: read from there, it is not masked again.
      sourceEnd = piece.sourceStart + (piece.masked ? 1 : bytes.length);
      if (bytes.length === piece.bytes.length) whole += 1;
      else this.#pieces[whole] = { ...piece, bytes: piece.bytes.subarray(bytes.length), sourceStart: sourceEnd };
    }
    this.#pieces.splice(0, whole);
    this.#length -= most - room;
    return { bytes: Buffer.concat(taken), sourceEnd };
  }
}

/** The length of `bytes` without a character that is not whole at their end. */
export function endOfLastCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back]!;
    if ((byte & 0xc0) === 0x80) continue;
    const needs = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return needs > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
