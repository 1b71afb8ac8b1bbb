// How many tunnels a neighbour may ask for on a link. A relay asks for all the nodes below it; a leaf only for itself,
// so that no one machine can use up the links that it shares with others.
import type { Role } from '../../certs/peer.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { TokenBucket } from '../../lib/token-bucket.ts';
import type { MeshLimits } from '../limits.ts';

export class TunnelQuota {
  readonly #most: number;
  readonly #asks: TokenBucket;
  #open = 0;
  /** Answers that this node waits for and that come as calls, like asks; and how many calls pass for such. */
  #awaited = 0;
  #passes = 0;

  /** For what a node of this role asks: as many at once as it may have open, and half of that in each second. */
  constructor(role: Role, limits: Pick<MeshLimits, 'tunnelsPerLink' | 'tunnelsPerLeaf'>) {
    this.#most = role === 'server' || role === 'relay' ? limits.tunnelsPerLink : limits.tunnelsPerLeaf;
    this.#asks = new TokenBucket(this.#most / 2, this.#most, Date.now());
  }

  /** Counts one more asked for; false when they come faster than they may. */
  tryAcquire(): boolean {
    if (this.#passes === 0) return this.#asks.take(Date.now());
    this.#passes -= 1;
    return true;
  }

  /**
   * Lets one call more pass, as the answer to what this node has asked for; to be called where the answer is counted by
   * `tryAcquire`. What it returns is to be called once, when nobody waits any longer. Answers that come late, as after a
   * cut, pass still, but no more of them than may be asked for at once: who never answers gains no more than that.
   */
  expectAnswer(): () => void {
    this.#awaited += 1;
    this.#letPass(this.#passes + 1);
    return () => {
      this.#awaited -= 1;
      this.#letPass(this.#passes);
    };
  }

  #letPass(calls: number): void {
    this.#passes = Math.min(calls, Math.max(this.#awaited, this.#most));
  }

  /** A place for one that is open, to be given back once; RESOURCE_EXHAUSTED when all are taken. */
  place(): () => void {
    if (this.#open >= this.#most) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `${this.#open} tunnels were asked for on this link already`);
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

/** What a neighbour's link is ended for when `tryAcquire` says no. */
export function tunnelRateLimited(node: string): IsthmusError {
  return new IsthmusError('RATE_LIMITED', `${node} asks for tunnels faster than any node does`, { hop: node });
}
