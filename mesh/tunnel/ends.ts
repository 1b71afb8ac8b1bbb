// The inner sessions that end at this node: each has a timer for its peer's certificate, and all are looked through when
// the revocation list changes, because TLS looks at neither again.
import type { MeshStream } from '../types.ts';
import type { InnerTrust } from './inner.ts';

/** Node's timers hold 31 bits; a certificate that lasts longer is looked at again then. */
const longestTimerMs = 2 ** 31 - 1;

export class OpenEnds {
  readonly #streams = new Set<MeshStream>();
  readonly #trust: InnerTrust;

  constructor(trust: InnerTrust) {
    this.#trust = trust;
  }

  add(stream: MeshStream): void {
    this.#streams.add(stream);
    const leftMs = stream.peer.notAfterMs - Date.now();
    const timer = setTimeout(() => stream.destroy(), Math.min(longestTimerMs, Math.max(0, leftMs)));
    timer.unref();
    stream.once('close', () => {
      clearTimeout(timer);
      this.#streams.delete(stream);
    });
    if (this.#trust.revocations.isRevoked(stream.peer)) stream.destroy();
  }

  /** Closes the sessions of peers that are revoked now. */
  closeRevoked(): void {
    for (const stream of this.#streams) if (this.#trust.revocations.isRevoked(stream.peer)) stream.destroy();
  }

  closeAll(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  get count(): number {
    return this.#streams.size;
  }
}
