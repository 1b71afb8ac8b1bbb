// A timer for a moment that may be weeks away and can be moved.

/**
 * Node's timers are limited to 31 bits of milliseconds (24 days), and ignore sleep of the machine and changes of its
 * clock. So the remaining time is computed again once a day.
 */
const LONGEST_WAIT_MS = 24 * 3_600_000;

export interface LongTimerOptions {
  /** The clock, in ms. Default: the time of day. */
  readonly now?: () => number;
  /** Whether the process stays alive for it. Default: true. */
  readonly keepsAlive?: boolean;
}

export class LongTimer {
  readonly #action: () => void;
  readonly #options: LongTimerOptions;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `action` once, when the clock reaches `atMs`; on the next tick when it already has. */
  constructor(atMs: number, action: () => void, options: LongTimerOptions = {}) {
    this.#action = action;
    this.#options = options;
    this.moveTo(atMs);
  }

  /** Sets another moment, also after the first has passed or the timer was stopped. */
  moveTo(atMs: number): void {
    clearTimeout(this.#timer);
    const { now = Date.now, keepsAlive = true } = this.#options;
    const leftMs = Math.max(0, atMs - now());
    const next = leftMs > LONGEST_WAIT_MS ? () => this.moveTo(atMs) : this.#action;
    this.#timer = setTimeout(next, Math.min(leftMs, LONGEST_WAIT_MS));
    if (!keepsAlive) this.#timer.unref();
  }

  /** Cancels the timer. Idempotent. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
