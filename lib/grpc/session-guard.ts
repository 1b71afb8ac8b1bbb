// What one HTTP/2 connection may ask of this end before it is ended. nghttp2 ends the rest by itself: CONTINUATION
// without end, unanswered SETTINGS and PINGs in a row, streams that are reset as fast as they are opened. It does not
// mind a peer that takes the answers, nor one that never acknowledges the settings that would cap its headers.
import { constants, type IncomingHttpHeaders, type ServerHttp2Session } from 'node:http2';
import { IsthmusError } from '../../contract/errors.ts';
import { TokenBucket } from '../async/token-bucket.ts';

/** Calls that may begin in a second, over and over; an honest peer's are a few hundred. */
const CALLS_PER_SECOND = 2_000;
/** And at once, also where few may be in flight: more can end and begin between two looks at the clock. */
const LEAST_BURST = 100;
/** PING and SETTINGS frames: gRPC sends some at the beginning, and hardly any later. */
const controlFrames = { burst: 100, perSecond: 10 };
/** 64 KB of metadata is an attack; ours is a few hundred bytes. */
export const MAX_METADATA_BYTES = 16 * 1024;
/** What a header field costs beside its bytes, as HTTP/2 counts it (RFC 9113, 6.5.2). */
const FIELD_OVERHEAD_BYTES = 32;

/**
 * What nghttp2 is to bear of resets where so many calls may be in flight: all at once, as when the nodes behind a relay
 * are cut off. By its own measure, 1,000, it would end the relay's link for it. Calls that begin are counted here.
 */
export function resetLimits(calls: number): { streamResetBurst: number; streamResetRate: number } {
  return { streamResetBurst: 2 * calls, streamResetRate: CALLS_PER_SECOND };
}

export interface SessionRules {
  /** How many calls may be in flight, and about as many may begin at once. */
  readonly calls: number;
  /** Why one more call may not begin now, for which the session is ended; undefined when it may. */
  forbids(): IsthmusError | undefined;
  /** Told once why the session was ended: RATE_LIMITED, PROTOCOL for what nghttp2 found, or what `forbids` said. */
  onEnded(error: IsthmusError): void;
}

/** Watches one session, and ends it when its peer floods it. */
export class SessionGuard {
  readonly #session: ServerHttp2Session;
  readonly #rules: SessionRules;
  readonly #calls: TokenBucket;
  readonly #controlFrames = new TokenBucket(controlFrames.perSecond, controlFrames.burst, Date.now());
  #ended = false;

  constructor(session: ServerHttp2Session, rules: SessionRules) {
    this.#session = session;
    this.#rules = rules;
    this.#calls = new TokenBucket(CALLS_PER_SECOND, Math.max(rules.calls, LEAST_BURST), Date.now());
    session.on('ping', () => this.#count(this.#controlFrames, 'PING frames'));
    session.on('remoteSettings', () => this.#count(this.#controlFrames, 'SETTINGS frames'));
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (FOUND_BY_NGHTTP2.has(error.code ?? '')) this.#end(new IsthmusError('PROTOCOL', `HTTP/2: ${error.message}`));
    });
  }

  /** Whether a call with these headers may begin; where not, the session is ended. */
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
    if (bucket.take(Date.now())) return true;
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
