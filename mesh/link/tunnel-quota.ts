// The quota of tunnels that a neighbour may request on a link. A relay requests them for all nodes below it, a leaf
// only for itself, so that no single machine uses up the links that it shares with others.
import type { NodeRole } from '../../contract/nodes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { TokenBucket } from '../../lib/async/token-bucket.ts';
import type { MeshLimits } from '../limits.ts';

export class TunnelQuota {
  readonly #max: number;
  readonly #bucket: TokenBucket;
  #open = 0;
  /** Answers that this node awaits and that come as calls, like requests; and how many calls count as such answers. */
  #awaited = 0;
  #freeCalls = 0;

  /** For the requests of a node of this role: a burst of as many as it may have open, and half of that per second. */
  constructor(role: NodeRole, limits: Pick<MeshLimits, 'tunnelsPerLink' | 'tunnelsPerLeaf'>) {
    this.#max = role === 'server' || role === 'relay' ? limits.tunnelsPerLink : limits.tunnelsPerLeaf;
    this.#bucket = new TokenBucket(this.#max / 2, this.#max);
  }

  /** Counts one request; false when it exceeds the rate. */
  tryAcquire(): boolean {
    if (this.#freeCalls === 0) return this.#bucket.take();
    this.#freeCalls -= 1;
    return true;
  }

  /**
   * Lets one more call through `tryAcquire` for free, as the answer to a request of this node. Call the returned
   * function once, when the answer is no longer awaited. Late answers, as after a cut, are still free, but at most a
   * burst of them: a peer that never answers gains no more than that.
   */
  expectAnswer(): () => void {
    this.#awaited += 1;
    this.#setFreeCalls(this.#freeCalls + 1);
    return () => {
      this.#awaited -= 1;
      this.#setFreeCalls(this.#freeCalls);
    };
  }

  #setFreeCalls(calls: number): void {
    this.#freeCalls = Math.min(calls, Math.max(this.#awaited, this.#max));
  }

  /** A slot for an open tunnel; call the returned function to give it back. RESOURCE_EXHAUSTED when all are taken. */
  slot(): () => void {
    if (this.#open >= this.#max) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `${this.#open} tunnels are open on this link already`);
    }
    this.#open += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#open -= 1;
    };
  }
}

/** The error that ends a neighbour's link when `tryAcquire` fails. */
export function tunnelRateLimited(node: string): IsthmusError {
  return new IsthmusError('RATE_LIMITED', `${node} requests tunnels faster than any node does`, { hop: node });
}
