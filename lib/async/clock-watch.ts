// Notices that the clock of the machine was set: it has then moved against the monotonic clock, which nobody sets.

/** Clocks are slewed all the time; less than this is no jump. */
const LEAST_JUMP_MS = 2_000;

export interface Clocks {
  /** The time of day in ms. */
  readonly wall: () => number;
  /** In ms since some moment; it only ever goes forward, at the pace of time. */
  readonly monotonic: () => number;
}

/** The clocks of this process. */
export const CLOCKS: Clocks = { wall: () => Date.now(), monotonic: () => performance.now() };

export class ClockWatch {
  readonly #clocks: Clocks;
  #offsetMs: number;

  constructor(clocks: Clocks = CLOCKS) {
    this.#clocks = clocks;
    this.#offsetMs = this.#offset();
  }

  /** By how much the clock was set since the last `accept`; 0 when it was not. */
  jumpMs(): number {
    const offsetMs = this.#offset();
    const byMs = Math.round(offsetMs - this.#offsetMs);
    if (Math.abs(byMs) >= LEAST_JUMP_MS) return byMs;
    this.#offsetMs = offsetMs;
    return 0;
  }

  /** The time of day by the clock as it was set at the last `accept`, after a jump by `byMs` since. */
  now(byMs: number): number {
    return Math.round(this.#clocks.monotonic() + this.#offsetMs + byMs);
  }

  /** Takes a jump for done with. */
  accept(byMs: number): void {
    this.#offsetMs += byMs;
  }

  #offset(): number {
    return this.#clocks.wall() - this.#clocks.monotonic();
  }
}
