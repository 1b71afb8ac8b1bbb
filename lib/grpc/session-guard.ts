// Ends an HTTP/2 session whose peer floods it or has fallen silent, on both sides alike. Node tells of some frames and
// of every byte of a call. The other bytes of the connection are WINDOW_UPDATE, PRIORITY, frames of unknown types,
// padding, and what comes for calls that have ended: an honest peer sends few of them. nghttp2 itself limits endless
// CONTINUATION, unanswered SETTINGS and PINGs, and streams that are reset as fast as they open.
import { subscribe } from 'node:diagnostics_channel';
import { constants, type Http2Session, type Http2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';
import { TokenBucket } from '../async/token-bucket.ts';
import { MessageCounter } from './message-counter.ts';
import { Silence } from './silence.ts';
import { StrayBytes } from './stray-bytes.ts';

/** PING, SETTINGS and the like: gRPC sends some at the start and hardly any later. */
const CONTROL_FRAMES = { burst: 100, perSecond: 10 };
/** Messages of calls, and further pieces of one below this size, each of which costs about as much as a message. */
const SMALL_BYTES = 1024;
const MESSAGES = { burst: 10_000, perSecond: 10_000 };
/** Calls that a server gives up: their caller can provoke it, as by a short deadline. */
const PROVOKED_RESETS = { burst: 4, perSecond: 0.25 };
/** The head of a DATA frame. */
const HEAD_BYTES = 9;
/** Headers and trailers of a call, compressed. */
const CALL_BYTES = 512;
const CHECK_EVERY_MS = 250;

const FOUND_BY_NGHTTP2: ReadonlySet<string> = new Set(['ERR_HTTP2_ERROR', 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES']);

/** Finds the guard of a connection: a session shows its socket only through a proxy, which passes properties on. */
const GUARD = Symbol('guard');

export interface GuardRules {
  readonly side: 'client' | 'server';
  /** The window of this end: so much may be on its way to calls that have ended. */
  readonly windowBytes: number;
  /** Whether calls need a sign of life from end to end; a link has a heartbeat of its own. */
  readonly expectsLife: boolean;
  /** Called once with why the session ends: RATE_LIMITED, PROTOCOL (found by nghttp2) or TUNNEL_SILENT. */
  onFault(error: IsthmusError): void;
}

interface GuardedConnection extends Duplex {
  /** A socket has these. */
  readonly bytesRead?: number;
  readonly bytesWritten?: number;
  [GUARD]?: SessionGuard;
}

/** Watches the session that runs over one connection. */
export class SessionGuard {
  readonly #rules: GuardRules;
  readonly #stray: StrayBytes;
  readonly #silence: Silence | undefined;
  #openCalls = 0;
  readonly #controlFrames = new TokenBucket(CONTROL_FRAMES.perSecond, CONTROL_FRAMES.burst);
  readonly #provokedResets = new TokenBucket(PROVOKED_RESETS.perSecond, PROVOKED_RESETS.burst);
  readonly #messages = new TokenBucket(MESSAGES.perSecond, MESSAGES.burst);
  #session: Http2Session | undefined;
  #ended = false;

  constructor(connection: GuardedConnection, rules: GuardRules) {
    this.#rules = rules;
    const bytesRead = () => connection.bytesRead ?? 0;
    this.#stray = new StrayBytes(bytesRead, rules.windowBytes);
    const isCounted = rules.expectsLife && connection.bytesRead !== undefined;
    const traffic = { bytesRead, bytesWritten: () => connection.bytesWritten ?? 0 };
    this.#silence = isCounted ? new Silence(traffic, CHECK_EVERY_MS) : undefined;
    connection[GUARD] = this;
    watch(this, connection);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Watches the session, from its first call at the latest. Idempotent. */
  watch(session: Http2Session): void {
    if (this.#session !== undefined) return;
    this.#session = session;
    for (const event of ['ping', 'remoteSettings', 'goaway', 'altsvc', 'origin']) {
      session.on(event, () => this.#count(this.#controlFrames, 'control frames'));
    }
    session.on('error', (error: NodeJS.ErrnoException) => {
      if (FOUND_BY_NGHTTP2.has(error.code ?? '')) this.end(new IsthmusError('PROTOCOL', `HTTP/2: ${error.message}`));
    });
  }

  /** Counts what comes in for a call. */
  began(stream: Http2Stream): void {
    // What a server pushes has an even number. Nobody listens to it, and its error would end the process.
    if (stream.id !== undefined && stream.id % 2 === 0) {
      stream.on('error', () => undefined);
      this.end(new IsthmusError('PROTOCOL', 'the peer pushed an answer'));
      return;
    }
    this.#openCalls += 1;
    stream.once('close', () => (this.#openCalls -= 1));
    this.#stray.belong(CALL_BYTES);
    stream.on('headers', () => this.#count(this.#controlFrames, 'interim answers'));
    const messages = new MessageCounter();
    const [push, close] = [stream.push.bind(stream), stream.close.bind(stream)];
    stream.push = (chunk: Buffer | null, encoding) => {
      if (chunk !== null) this.#received(chunk.length, messages.begunIn(chunk));
      return push(chunk, encoding);
    };
    stream.close = (code, onClosed) => {
      if (!stream.closed && !stream.readableEnded) this.#givenUp();
      close(code, onClosed);
    };
  }

  /** Ends the session if too much came in that belongs to no call, or nothing at all while a call is open. */
  check(): void {
    if (this.#stray.exceeded()) this.end(tooFast('frames that belong to no call'));
    const sign = this.#silence?.tick(this.#openCalls > 0);
    if (sign === 'lost') this.end(new IsthmusError('TUNNEL_SILENT', 'nothing came in over the tunnel for 10 s'));
    if (sign === 'ask' && this.#session?.destroyed === false) this.#session.ping(() => undefined);
  }

  end(error: IsthmusError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#rules.onFault(error);
    // At once: much more may be read before anything else runs.
    this.#session?.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  /** This side gives a call up, and a window is on its way to it. */
  #givenUp(): void {
    const isAllowed = this.#rules.side === 'client' || this.#provokedResets.take();
    if (isAllowed) this.#stray.belong(this.#rules.windowBytes);
  }

  #received(bytes: number, messages: number): void {
    this.#stray.belong(bytes + HEAD_BYTES);
    if (messages > 0) this.#count(this.#messages, 'messages', messages);
    else if (bytes < SMALL_BYTES) this.#count(this.#messages, 'pieces of messages');
  }

  #count(bucket: TokenBucket, what: string, times = 1): void {
    if (!bucket.take(times)) this.end(tooFast(what));
  }
}

/** The guards of open connections. */
const watched = new Set<SessionGuard>();
let timer: NodeJS.Timeout | undefined;

function watch(guard: SessionGuard, connection: Duplex): void {
  watched.add(guard);
  connection.once('close', () => watched.delete(guard));
  timer ??= setTimeout(checkAll, CHECK_EVERY_MS).unref();
}

function checkAll(): void {
  timer = watched.size === 0 ? undefined : setTimeout(checkAll, CHECK_EVERY_MS).unref();
  for (const guard of watched) guard.check();
}

for (const side of ['client', 'server']) {
  subscribe(`http2.${side}.stream.created`, (message) => {
    const { stream } = message as { readonly stream: Http2Stream };
    guardOf(stream.session)?.began(stream);
  });
}

function guardOf(session: Http2Session | undefined): SessionGuard | undefined {
  if (session === undefined || session.destroyed) return undefined;
  const guard = (session.socket as { [GUARD]?: SessionGuard })[GUARD];
  guard?.watch(session);
  return guard;
}

/** The error for a peer that sends too much of something. */
export function tooFast(what: string): IsthmusError {
  return new IsthmusError('RATE_LIMITED', `the peer sends ${what} faster than any node does`);
}
