// A timer for a moment that may be weeks away, and that may be moved.

/**
 * Node's timers hold 31 bits of milliseconds, 24 days, and count no sleep of the machine and no change of its clock: the
 * time that is left is looked at anew once a day.
 */
const LONGEST_WAIT_MS = 24 * 3_600_000;

export interface LongTimerOptions {
  /** The clock of the moment, in ms. Default: the time of day. */
  readonly now?: () => number;
  /** Whether the process stays alive for it. Default: true. */
  readonly keepsAlive?: boolean;
}

export class LongTimer {
  readonly #action: () => void;
  readonly #options: LongTimerOptions;
  #timer: NodeJS.Timeout | undefined;

  /** Calls `action` once, when the clock has reached `atMs`; at the next turn when it has already. */
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

  /** The action is not called any more. Idempotent. */
  stop(): void {
    clearTimeout(this.#timer);
  }
}
