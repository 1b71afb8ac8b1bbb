// The rate of a fetch that nobody waits for: at most a rate, and a trickle while a requester waits for another fetch.
// The first requester of the package itself lifts it.
import { pause, whenAborted } from '../lib/async/waiting.ts';
import type { FetchTarget } from '../lib/blobs/fetch.ts';

/** Enough that no hop takes the reader for dead, and little beside any line. */
const TRICKLE_BYTES_PER_S = 32 * 1024;
/** How long one pause may be before the rate is looked at again. */
const LONGEST_PAUSE_MS = 250;

interface ThrottleOptions {
  /** 0 for no limit. */
  readonly maxBytesPerS: number;
  /** Whether others go first now. */
  readonly yields: () => boolean;
}

export class Throttle {
  readonly #options: ThrottleOptions;
  readonly #lifted = new AbortController();
  /** Bytes that came and whose time has not passed. */
  #dueBytes = 0;

  constructor(options: ThrottleOptions) {
    this.#options = options;
  }

  get maxBytesPerS(): number {
    return this.#options.maxBytesPerS;
  }

  get isLifted(): boolean {
    return this.#lifted.signal.aborted;
  }

  /** Somebody waits for the package: from now on it comes as fast as it can. */
  lift(): void {
    this.#lifted.abort();
  }

  /** Calls `action` once it is lifted. */
  onLift(action: () => void): void {
    whenAborted(this.#lifted.signal, action);
  }

  /** The target at this rate: each write takes the time that its bytes may take. */
  of(target: FetchTarget, signal: AbortSignal): FetchTarget {
    const passed = (bytes: number) => this.#passed(bytes, signal);
    return {
      get bytes() {
        return target.bytes;
      },
      async write(chunk) {
        await target.write(chunk);
        await passed(chunk.length);
      },
      restart: () => target.restart(),
      commit: (expected) => target.commit(expected),
    };
  }

  async #passed(bytes: number, signal: AbortSignal): Promise<void> {
    this.#dueBytes += bytes;
    while (this.#dueBytes > 0 && !this.isLifted && !signal.aborted) {
      const bytesPerS = this.#options.yields() ? TRICKLE_BYTES_PER_S : this.#options.maxBytesPerS;
      if (bytesPerS === 0) this.#dueBytes = 0;
      else await this.#pause(bytesPerS, signal);
    }
  }

  async #pause(bytesPerS: number, signal: AbortSignal): Promise<void> {
    const ms = Math.min(LONGEST_PAUSE_MS, (1000 * this.#dueBytes) / bytesPerS);
    const beganMs = performance.now();
    await pause(ms, signal, this.#lifted.signal);
    this.#dueBytes -= ((performance.now() - beganMs) * bytesPerS) / 1000;
  }
}
