// Spaces the data frames of a link's tunnels. Neighbours end a link with more messages than SessionGuard allows, and a
// relay forwards for nodes that may send many small pieces: they wait here, and their tunnels merge what comes
// meanwhile.
import { TokenBucket } from '../../lib/async/token-bucket.ts';

/** Half of what neighbours allow; the rest is for the other messages of a link. */
const FRAMES = { perSecond: 5_000, burst: 5_000 };
const RETRY_MS = 10;

export class FrameRate {
  readonly #frames = new TokenBucket(FRAMES.perSecond, FRAMES.burst);
  readonly #waiting: (() => void)[] = [];

  /** Calls `send` once one more frame may be sent: at once, or in turn. */
  whenFree(send: () => void): void {
    if (this.#waiting.length === 0 && this.#frames.take()) {
      send();
      return;
    }
    this.#waiting.push(send);
    if (this.#waiting.length === 1) this.#retry();
  }

  #retry(): void {
    setTimeout(() => {
      for (let [send] = this.#waiting; send !== undefined && this.#frames.take(); [send] = this.#waiting) {
        // It stays first meanwhile: what it lets wait comes after it, and is tried with it.
        send();
        this.#waiting.shift();
      }
      if (this.#waiting.length > 0) this.#retry();
    }, RETRY_MS);
  }
}
