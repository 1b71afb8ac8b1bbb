// Nonces for proofs: one at a time for each stream, good for two minutes. Asking again with the same proof is allowed,
// so that a lost answer can be repeated; what it may do twice is for the caller to bound.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';

const LIFETIME_MS = 120_000;

export class Nonces {
  readonly #byStream = new WeakMap<Duplex, { nonce: Buffer; madeAtMs: number }>();

  /** A fresh nonce for this stream; the last one is forgotten. */
  make(stream: Duplex, nowMs = Date.now()): Buffer {
    const nonce = randomBytes(32);
    this.#byStream.set(stream, { nonce, madeAtMs: nowMs });
    return nonce;
  }

  /** Throws ENROL_STALE unless `received` is this stream's nonce and fresh. */
  check(stream: Duplex, received: Buffer, nowMs = Date.now()): void {
    const known = this.#byStream.get(stream);
    const fresh = known !== undefined && nowMs - known.madeAtMs <= LIFETIME_MS;
    if (!fresh || received.length !== known.nonce.length || !timingSafeEqual(received, known.nonce)) {
      throw new IsthmusError('ENROL_STALE', 'the nonce is not the one this session was given, or is too old');
    }
  }
}
