// Nonces for proofs: one at a time for each stream, valid for two minutes. A nonce may be used again, so that a request
// whose answer was lost can be repeated; the caller limits what a repeated request does.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';

const LIFETIME_MS = 120_000;

export class Nonces {
  readonly #byStream = new WeakMap<Duplex, { nonce: Buffer; createdAtMs: number }>();

  /** Creates a nonce for this stream; it replaces the last one. */
  create(stream: Duplex, nowMs = performance.now()): Buffer {
    const nonce = randomBytes(32);
    this.#byStream.set(stream, { nonce, createdAtMs: nowMs });
    return nonce;
  }

  /** Throws ENROL_STALE unless `received` is this stream's nonce and fresh. */
  check(stream: Duplex, received: Buffer, nowMs = performance.now()): void {
    const known = this.#byStream.get(stream);
    const fresh = known !== undefined && nowMs - known.createdAtMs <= LIFETIME_MS;
    if (!fresh || received.length !== known.nonce.length || !timingSafeEqual(received, known.nonce)) {
      throw new IsthmusError('ENROL_STALE', 'the nonce was not issued to this session, or is too old');
    }
  }
}
