// Notices that nothing comes in any more for calls that are open: a relay may drop a tunnel's bytes while its links are
// well. Counted in ticks of our own timer, not by the clock: a process that was stopped reads its input first.

export interface SilenceTraffic {
  /** All bytes that came in, and that were written. */
  bytesRead(): number;
  bytesWritten(): number;
}

/** Silence after which the peer is asked for a sign of life, and again after each such time. */
const ASK_AFTER_MS = 4_000;
/** Silence after which the connection is given up: long enough for an answer that is lost twice on a line of 300 ms. */
const GIVE_UP_AFTER_MS = 10_000;
/** What was written since may be in transit on a thin line, before the question. */
const LEAST_BYTES_PER_MS = 16;

export type SignOfLife = 'heard' | 'waiting' | 'ask' | 'lost';

export class Silence {
  readonly #traffic: SilenceTraffic;
  readonly #tickMs: number;
  #silentMs = 0;
  #readBytes: number;
  #writtenBytes: number;

  /** `tickMs` is the time between two calls of `tick`. */
  constructor(traffic: SilenceTraffic, tickMs: number) {
    this.#traffic = traffic;
    this.#tickMs = tickMs;
    this.#readBytes = traffic.bytesRead();
    this.#writtenBytes = traffic.bytesWritten();
  }

  /** What to do now; `awaits` says whether a call is open, without which nobody has to send anything. */
  tick(awaits: boolean): SignOfLife {
    const [readBytes, writtenBytes] = [this.#traffic.bytesRead(), this.#traffic.bytesWritten()];
    if (readBytes !== this.#readBytes || !awaits) {
      [this.#readBytes, this.#writtenBytes, this.#silentMs] = [readBytes, writtenBytes, 0];
      return 'heard';
    }
    this.#silentMs += this.#tickMs;
    const inTransitMs = (writtenBytes - this.#writtenBytes) / LEAST_BYTES_PER_MS;
    if (this.#silentMs >= GIVE_UP_AFTER_MS + inTransitMs) return 'lost';
    return this.#silentMs % ASK_AFTER_MS < this.#tickMs ? 'ask' : 'waiting';
  }
}
