// The bulk connections of one link session: at most so many that this side opens, and as many that the peer opens.
import { IsthmusError } from '../../contract/errors.ts';

export class BulkSlots {
  readonly #max: number;
  #own = 0;
  #peer = 0;
  readonly #waiters = new Set<() => void>();

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * A slot for a connection that this side opens; waits for a free one until the signal aborts. The returned function
   * frees it.
   */
  async acquire(signal: AbortSignal): Promise<() => void> {
    while (this.#own >= this.#max) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const go = () => {
          signal.removeEventListener('abort', go);
          this.#waiters.delete(go);
          resolve();
        };
        signal.addEventListener('abort', go, { once: true });
        this.#waiters.add(go);
      });
    }
    signal.throwIfAborted();
    this.#own += 1;
    return once(() => {
      this.#own -= 1;
      for (const go of this.#waiters) {
        go();
        break;
      }
    });
  }

  /**
   * A slot for a connection that `peer` opens. It has to wait on its own side, so RESOURCE_EXHAUSTED when all are
   * taken.
   */
  acquireForPeer(peer: string): () => void {
    if (this.#peer >= this.#max) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `${peer} has ${this.#peer} bulk tunnels on this link already`);
    }
    this.#peer += 1;
    return once(() => (this.#peer -= 1));
  }
}

function once(run: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    run();
  };
}
