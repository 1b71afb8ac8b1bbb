// Counts the messages that begin in the bytes of one gRPC call. A head of five bytes precedes each: whether it is
// compressed, and its length. An empty message is nothing but this head, so that one DATA frame holds thousands.

const HEAD_BYTES = 5;

export class MessageCounter {
  /** Bytes read of a head, and those still to come of a body. */
  #headBytes = 0;
  #bodyBytes = 0;

  /** How many messages begin in the next piece of the call. */
  begunIn(piece: Uint8Array): number {
    let begun = 0;
    for (let at = 0; at < piece.length;) {
      if (this.#headBytes === HEAD_BYTES) {
        const skipped = Math.min(this.#bodyBytes, piece.length - at);
        this.#bodyBytes -= skipped;
        at += skipped;
        if (this.#bodyBytes === 0) this.#headBytes = 0;
      } else {
        this.#readHead(piece[at]!);
        if (this.#headBytes === 1) begun += 1;
        at += 1;
      }
    }
    return begun;
  }

  #readHead(byte: number): void {
    this.#bodyBytes = this.#headBytes === 0 ? 0 : this.#bodyBytes * 256 + byte;
    this.#headBytes += 1;
    if (this.#headBytes === HEAD_BYTES && this.#bodyBytes === 0) this.#headBytes = 0;
  }
}
