// Decides whether a peer's next call may begin: how fast calls come, how large their metadata is, and what the host says.
import type { IncomingHttpHeaders } from 'node:http2';
import { IsthmusError } from '../../contract/errors.ts';
import { TokenBucket } from '../async/token-bucket.ts';
import { tooFast, type SessionGuard } from './session-guard.ts';

/** Sustained rate of new calls; an honest peer needs a few hundred. */
const CALLS_PER_SECOND = 2_000;
/** The burst, even where few calls may be in flight: more can end and begin within one tick of the clock. */
const LEAST_BURST = 100;
/** Isthmus sends a few hundred bytes of metadata. */
export const MAX_METADATA_BYTES = 16 * 1024;
/** Overhead of a header field beside its bytes, as HTTP/2 counts it (RFC 9113, 6.5.2). */
const FIELD_OVERHEAD_BYTES = 32;

/**
 * nghttp2's limits on stream resets: all calls in flight may reset at once, as when the nodes behind a relay are cut off.
 * Its default, 1,000, would end the relay's link. New calls are counted here instead.
 */
export function resetLimits(calls: number): { streamResetBurst: number; streamResetRate: number } {
  return { streamResetBurst: 2 * calls, streamResetRate: CALLS_PER_SECOND };
}

export interface CallRules {
  /** How many calls may be in flight; about as many may begin at once. */
  readonly calls: number;
  /** Why no further call may begin now, which ends the session; undefined when one may. */
  forbids(): IsthmusError | undefined;
}

export class CallLimiter {
  readonly #guard: SessionGuard;
  readonly #rules: CallRules;
  readonly #calls: TokenBucket;

  constructor(guard: SessionGuard, rules: CallRules) {
    this.#guard = guard;
    this.#rules = rules;
    this.#calls = new TokenBucket(CALLS_PER_SECOND, Math.max(rules.calls, LEAST_BURST));
  }

  /** Whether a call with these headers may begin; if not, ends the session. */
  admit(headers: IncomingHttpHeaders): boolean {
    if (this.#guard.ended) return false;
    const error = this.#fault(headers);
    if (error !== undefined) this.#guard.end(error);
    return error === undefined;
  }

  #fault(headers: IncomingHttpHeaders): IsthmusError | undefined {
    if (!this.#calls.take()) return tooFast('calls');
    const bytes = headerBytes(headers);
    if (bytes <= MAX_METADATA_BYTES) return this.#rules.forbids();
    return new IsthmusError('RATE_LIMITED', `the peer sent a call with ${bytes} bytes of metadata`);
  }
}

function headerBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value ?? '']) {
      bytes += name.length + String(each).length + FIELD_OVERHEAD_BYTES;
    }
  }
  return bytes;
}
