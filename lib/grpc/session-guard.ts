// Limits what one HTTP/2 connection may request before it is closed. nghttp2 itself limits endless CONTINUATION, unanswered
// SETTINGS and PINGs, and streams that are reset as fast as they open. It does not limit a peer that reads the answers, or
// one that never acknowledges the settings that cap its headers.
import { constants, type IncomingHttpHeaders, type ServerHttp2Session } from 'node:http2';
import { IsthmusError } from '../../contract/errors.ts';
import { TokenBucket } from '../async/token-bucket.ts';

/** Sustained rate of new calls; an honest peer needs a few hundred. */
const CALLS_PER_SECOND = 2_000;
/** The burst, even where few calls may be in flight: more can end and begin within one tick of the clock. */
const LEAST_BURST = 100;
/** PING and SETTINGS frames: gRPC sends some at the start and hardly any later. */
const CONTROL_FRAMES = { burst: 100, perSecond: 10 };
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

export interface SessionRules {
  /** How many calls may be in flight; about as many may begin at once. */
  readonly calls: number;
  /** Why no further call may begin now, which ends the session; undefined when one may. */
  forbids(): IsthmusError | undefined;
  /** Called once with why the session ended: RATE_LIMITED, PROTOCOL (found by nghttp2), or the error of `forbids`. */
  onEnded(error: IsthmusError): void;
}

/** Watches one session and ends it when its peer floods it. */
export class SessionGuard {
  readonly #session: ServerHttp2Session;
  readonly #rules: SessionRules;
  readonly #calls: TokenBucket;
  readonly #controlFrames = new TokenBucket(CONTROL_FRAMES.perSecond, CONTROL_FRAMES.burst);
  #ended = false;

  constructor(session: ServerHttp2Session, rules: SessionRules) {
    this.#session = session;
    this.#rules = rules;
    this.#calls = new TokenBucket(CALLS_PER_SECOND, Math.max(rules.calls, LEAST_BURST));
    session.on('ping', () => this.#count(this.#controlFrames, 'PING frames'));
    session.on('remoteSettings', () => this.#count(this.#controlFrames, 'SETTINGS frames'));
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (FOUND_BY_NGHTTP2.has(error.code ?? '')) this.#end(new IsthmusError('PROTOCOL', `HTTP/2: ${error.message}`));
    });
  }

  /** Whether a call with these headers may begin; if not, ends the session. */
  admit(headers: IncomingHttpHeaders): boolean {
    if (this.#ended || !this.#count(this.#calls, 'calls')) return false;
    const bytes = headerBytes(headers);
    const error =
      bytes > MAX_METADATA_BYTES
        ? new IsthmusError('RATE_LIMITED', `the peer sent a call with ${bytes} bytes of metadata`)
        : this.#rules.forbids();
    if (error !== undefined) this.#end(error);
    return error === undefined;
  }

  #count(bucket: TokenBucket, what: string): boolean {
    if (bucket.take()) return true;
    this.#end(new IsthmusError('RATE_LIMITED', `the peer sends ${what} faster than any node does`));
    return false;
  }

  #end(error: IsthmusError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#rules.onEnded(error);
    this.#session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }
}

const FOUND_BY_NGHTTP2: ReadonlySet<string> = new Set(['ERR_HTTP2_ERROR', 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES']);

function headerBytes(headers: IncomingHttpHeaders): number {
  let bytes = 0;
  for (const [name, value] of Object.entries(headers)) {
    for (const each of Array.isArray(value) ? value : [value ?? '']) {
      bytes += name.length + String(each).length + FIELD_OVERHEAD_BYTES;
    }
  }
  return bytes;
}
