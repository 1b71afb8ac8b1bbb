// Calls back once when a certificate has expired. The time moves when the peer shows a renewed certificate.

/** Node's timers hold 31 bits. */
const longestTimerMs = 2 ** 31 - 1;

export class Expiry {
  readonly #onExpired: () => void;
  #timer: NodeJS.Timeout | undefined;

  /** `atMs` is a time of day, as in certificates. */
  constructor(atMs: number, onExpired: () => void) {
    this.#onExpired = onExpired;
    this.moveTo(atMs);
  }

  moveTo(atMs: number): void {
    clearTimeout(this.#timer);
    const leftMs = Math.max(0, atMs - Date.now());
    const next = leftMs > longestTimerMs ? () => this.moveTo(atMs) : this.#onExpired;
    this.#timer = setTimeout(next, Math.min(leftMs, longestTimerMs));
    this.#timer.unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
