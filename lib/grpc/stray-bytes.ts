// Counts the bytes of a connection that belong to no call.

/** What gRPC sends beside its calls is far less; a flood at this rate costs less than 1 % of a processor. */
const BYTES_PER_SECOND = 64 * 1024;
/** Beside the window: settings, and headers of calls that are counted later. */
const SLACK_BYTES = 64 * 1024;

/** A bucket that leaks: what came in flows in, what belongs to calls and a steady rate flow out. */
export class StrayBytes {
  readonly #bytesRead: () => number;
  readonly #mostBytes: number;
  readonly #nowMs: () => number;
  #level = 0;
  #readBytes: number;
  #atMs: number;

  /**
   * `bytesRead` counts all bytes of the connection; up to a window of them may be on their way to calls that have ended.
   */
  constructor(bytesRead: () => number, windowBytes: number, nowMs: () => number = () => performance.now()) {
    this.#bytesRead = bytesRead;
    this.#mostBytes = windowBytes + SLACK_BYTES;
    this.#nowMs = nowMs;
    this.#readBytes = bytesRead();
    this.#atMs = nowMs();
  }

  /** So many bytes, read already or soon, belong to a call. */
  belong(bytes: number): void {
    this.#level -= bytes;
  }

  /** Whether more has been read for no call than any node sends. */
  exceeded(): boolean {
    const [readBytes, nowMs] = [this.#bytesRead(), this.#nowMs()];
    const leaked = ((nowMs - this.#atMs) / 1000) * BYTES_PER_SECOND;
    const level = this.#level + (readBytes - this.#readBytes) - leaked;
    // What is left unused now must not allow a larger flood later.
    this.#level = Math.max(-this.#mostBytes, level);
    [this.#readBytes, this.#atMs] = [readBytes, nowMs];
    return this.#level > this.#mostBytes;
  }
}
