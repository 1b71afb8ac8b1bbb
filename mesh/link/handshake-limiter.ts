// Whose turn it is to begin a TLS handshake. When a thousand peers come back at once, the processor does so many at a
// time, in the order in which they came: the first are in soon, and nobody's deadline passes while all make headway
// together. A turn is bounded, so that a slow line, or a peer that stalls, keeps no other waiting; it is counted in
// ticks of our own timer and not by the clock, because a process that is short of processor time is not to begin yet
// more.

export interface HandshakeLimits {
  readonly concurrentHandshakes: number;
  readonly handshakeSlotMs: number;
}

/** The ticks of a turn: between two of them the event loop has looked at what has come. */
const ticksPerTurn = 5;

export class HandshakeLimiter {
  readonly #limits: HandshakeLimits;
  readonly #waiting = new Set<() => void>();
  #taken = 0;

  constructor(limits: HandshakeLimits) {
    this.#limits = limits;
  }

  /**
   * Calls `begin` when it is the caller's turn, `overdue` when the turn passes unused; the answer gives turn or place
   * back.
   */
  take(begin: () => void, overdue: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const tick = (left: number): void => {
      timer = setTimeout(() => {
        if (left > 1) return tick(left - 1);
        over();
        overdue();
      }, this.#limits.handshakeSlotMs / ticksPerTurn);
    };
    const start = (): void => {
      this.#taken += 1;
      tick(ticksPerTurn);
      begin();
    };
    const over = (): void => {
      this.#waiting.delete(start);
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      this.#taken -= 1;
      this.#next();
    };
    this.#waiting.add(start);
    this.#next();
    return over;
  }

  #next(): void {
    for (const start of this.#waiting) {
      if (this.#taken >= this.#limits.concurrentHandshakes) return;
      this.#waiting.delete(start);
      start();
    }
  }
}
