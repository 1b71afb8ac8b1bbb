// Limits concurrent TLS handshakes, first come first served. When a thousand peers reconnect at once, the first are
// linked soon; without a limit all would progress together and miss their deadlines. A slot is bounded, so that a slow
// line or a stalled peer blocks nobody. It is counted in ticks of our own timer, not by the clock, so that a process
// short of processor time does not start even more.

export interface HandshakeLimits {
  readonly concurrentHandshakes: number;
  readonly handshakeSlotMs: number;
}

/** Between two ticks the event loop has handled its input. */
const TICKS_PER_SLOT = 5;

export class HandshakeLimiter {
  readonly #limits: HandshakeLimits;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(limits: HandshakeLimits) {
    this.#limits = limits;
  }

  /**
   * Calls `begin` when a slot is free, and `overdue` when the slot's time is over. The returned function gives back the
   * slot, or leaves the queue.
   */
  acquire(begin: () => void, overdue: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    const tick = (left: number): void => {
      timer = setTimeout(() => {
        if (left > 1) return tick(left - 1);
        leave();
        overdue();
      }, this.#limits.handshakeSlotMs / TICKS_PER_SLOT);
    };
    const start = (): void => {
      this.#running += 1;
      tick(TICKS_PER_SLOT);
      begin();
    };
    const leave = (): void => {
      this.#waiting.delete(start);
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      this.#running -= 1;
      this.#next();
    };
    this.#waiting.add(start);
    this.#next();
    return leave;
  }

  #next(): void {
    for (const start of this.#waiting) {
      if (this.#running >= this.#limits.concurrentHandshakes) return;
      this.#waiting.delete(start);
      start();
    }
  }
}
