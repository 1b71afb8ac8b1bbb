// Serves gRPC over streams that are already encrypted and authenticated. Deny by default: a method without an access rule
// stops the start-up, and a peer of another role is denied before the handler runs.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import type * as grpc from '@grpc/grpc-js';
import type {
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
  ServerOptions,
} from 'node:http2';
import type { Duplex } from 'node:stream';
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { DEFAULT_WINDOW_BYTES, MAX_MESSAGE_BYTES } from './client.ts';
import { toServiceError } from './errors.ts';
import { CallLimiter, MAX_METADATA_BYTES, resetLimits } from './call-limiter.ts';
import { SessionGuard } from './session-guard.ts';
import { pauseUntil } from '../async/waiting.ts';

/** What the host must know about a peer; PeerIdentity of certs/peer.ts is one. */
export interface StreamPeer {
  readonly node: string;
  readonly role: string;
}

/** Who may call a method: peers of these roles, or anyone, even without a certificate. */
export type MethodAccess = { readonly roles: readonly string[] } | { readonly anyone: true };

/** The other end of a call. */
export interface Caller<P extends StreamPeer> {
  /** The proven identity; throws ROLE_FORBIDDEN when the stream has none (methods for anyone only). */
  readonly peer: P;
  /** The injected stream, for its exported keying material. */
  readonly stream: Duplex;
}

/** The generated handlers of a service as functions that return a value or throw an IsthmusError. */
export type AsyncHandlers<H, P extends StreamPeer> = {
  [M in keyof H as string extends M ? never : M]: H[M] extends grpc.handleServerStreamingCall<infer Q, infer R>
    ? (call: grpc.ServerWritableStream<Q, R>, caller: Caller<P>) => Promise<void> | void
    : H[M] extends grpc.handleBidiStreamingCall<infer Q, infer R>
      ? (call: grpc.ServerDuplexStream<Q, R>, caller: Caller<P>) => Promise<void> | void
      : H[M] extends grpc.handleUnaryCall<infer Q, infer R>
        ? (call: grpc.ServerUnaryCall<Q, R>, caller: Caller<P>) => Promise<R> | R
        : never;
};

export interface GrpcHostOptions {
  readonly log: Logger;
  /** HTTP/2 stream and session window of this end. */
  readonly windowBytes?: number;
  /** Whether a stream with open calls ends when nothing comes in (TUNNEL_SILENT). Default: true. */
  readonly expectsLife?: boolean;
  /** Calls in flight on one stream. */
  readonly maxConcurrentCalls?: number;
  /** Why no further call may begin on the stream now; the stream is then closed. */
  readonly forbids?: (stream: Duplex) => IsthmusError | undefined;
  /**
   * Called for every error answer, with the peer and the method (`/package.Service/Method`), and for a peer that floods
   * its connection, with the method `HTTP/2`.
   */
  readonly onError?: (error: IsthmusError, peer: StreamPeer | undefined, method: string) => void;
}

/** The id of the injected stream, which this host sets on every request, over any value the peer sent. */
const STREAM_HEADER = 'isthmus-stream';
/** How long `stop` waits for calls to end. */
const STOP_GRACE_MS = 1_000;

type LooseHandler = (call: LooseCall, caller: Caller<StreamPeer>) => unknown;
type LooseCall = grpc.ServerUnaryCall<unknown, unknown> & { emit(event: 'error', error: unknown): boolean };
type Injector = ReturnType<Server['createConnectionInjector']>;

export class GrpcHost<P extends StreamPeer = StreamPeer> {
  private readonly log: Logger;
  private readonly windowBytes: number;
  private readonly expectsLife: boolean;
  private readonly onError: GrpcHostOptions['onError'];
  private readonly forbids: GrpcHostOptions['forbids'];
  private readonly server: Server;
  private readonly injector: Injector;
  private readonly streams = new Map<string, Duplex & { readonly peer?: P }>();
  private arriving: string | undefined;
  private nextId = 1;

  constructor({
    log,
    windowBytes = DEFAULT_WINDOW_BYTES,
    expectsLife = true,
    maxConcurrentCalls = 1024,
    forbids,
    onError,
  }: GrpcHostOptions) {
    this.log = log;
    this.onError = onError;
    this.forbids = forbids;
    this.windowBytes = windowBytes;
    this.expectsLife = expectsLife;
    this.server = new Server({
      'grpc.enable_channelz': 0,
      'grpc.max_concurrent_streams': maxConcurrentCalls,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    });
    const http2Server = captureHttp2Server(this.server, resetLimits(maxConcurrentCalls));
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure());
    this.prepare(http2Server(), maxConcurrentCalls);
  }

  /** Registers a service. Throws ACCESS_MISSING when a method has no access or no handler. */
  add<H>(
    definition: grpc.ServiceDefinition,
    handlers: AsyncHandlers<H, P>,
    access: { readonly [M in keyof AsyncHandlers<H, P>]: MethodAccess },
  ): void {
    const loose = handlers as unknown as Record<string, LooseHandler | undefined>;
    const accessOf = access as Record<string, MethodAccess | undefined>;
    const implementation: Record<string, grpc.UntypedHandleCall> = {};
    const careful: Record<string, grpc.MethodDefinition<unknown, unknown>> = {};
    for (const [name, method] of Object.entries(definition)) {
      const handler = loose[name];
      const access = accessOf[name];
      if (handler === undefined || access === undefined) {
        throw new IsthmusError('ACCESS_MISSING', `${method.path} has no ${handler ? 'access' : 'handler'}`);
      }
      implementation[name] = this.guard(method.path, handler, access, method.responseStream);
      careful[name] = { ...method, requestDeserialize: carefully(method.requestDeserialize) };
    }
    this.server.addService(careful, implementation);
  }

  /** Serves one stream until it closes. A TLS session must have an ALPN name: node:http2 rejects it otherwise. */
  accept(stream: Duplex & { readonly peer?: P }): void {
    stream.on('error', () => undefined);
    if (stream.destroyed) return;
    const id = String(this.nextId++);
    this.streams.set(id, stream);
    stream.once('close', () => this.streams.delete(id));
    this.arriving = id;
    this.injector.injectConnection(stream);
    this.arriving = undefined;
  }

  /** Ends every stream: gracefully first, then at once. Idempotent; resolves when all have ended. */
  async stop(): Promise<void> {
    this.injector.drain(STOP_GRACE_MS);
    this.injector.destroy();
    const open = [...this.streams.values()];
    await pauseUntil(
      (wake) => {
        Promise.all(open.map(closed)).then(wake, wake);
        return () => undefined;
      },
      { ms: STOP_GRACE_MS },
    );
    for (const stream of open) stream.destroy();
    this.server.forceShutdown();
  }

  /** Guards sessions and calls before the handlers of grpc-js, which are installed already, see them. */
  private prepare(http2Server: Http2Server, maxConcurrentCalls: number): void {
    const entries = new WeakMap<object, { readonly id: string; readonly limiter: CallLimiter }>();
    http2Server.prependListener('session', (session: ServerHttp2Session) => {
      const id = this.arriving ?? '';
      const transport = this.streams.get(id);
      if (transport === undefined) return;
      const guard = new SessionGuard(transport, {
        side: 'server',
        windowBytes: this.windowBytes,
        expectsLife: this.expectsLife,
        onFault: (error) => {
          this.log.warn({ peer: transport.peer?.node, code: error.code, err: error.message }, 'HTTP/2 session ended');
          this.onError?.(error, transport.peer, 'HTTP/2');
        },
      });
      guard.watch(session);
      const limiter = new CallLimiter(guard, { calls: maxConcurrentCalls, forbids: () => this.forbids?.(transport) });
      entries.set(session, { id, limiter });
      session.settings({ initialWindowSize: this.windowBytes, maxHeaderListSize: MAX_METADATA_BYTES });
      // grpc-js raises the session's window only on the client; without this, uploads are slow on a long line.
      session.setLocalWindowSize(this.windowBytes);
    });
    const serve = http2Server.listeners('stream');
    http2Server.removeAllListeners('stream');
    http2Server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
      const entry = stream.session && entries.get(stream.session);
      // grpc-js would also answer on a session that has ended, which throws an uncaught error.
      if (entry === undefined || !entry.limiter.admit(headers) || stream.destroyed) return;
      headers[STREAM_HEADER] = entry.id;
      for (const each of serve) Reflect.apply(each, http2Server, [stream, headers, ...rest]);
    });
  }

  private guard(path: string, handler: LooseHandler, access: MethodAccess, streams: boolean): grpc.UntypedHandleCall {
    return (call: LooseCall, callback?: grpc.sendUnaryData<unknown>) => {
      const fail = (thrown: unknown): void => {
        if (thrown instanceof IsthmusError) this.onError?.(thrown, this.streamOf(call.metadata)?.peer, path);
        else this.log.error({ err: thrown, method: path }, 'handler failed');
        const error = toServiceError(thrown);
        if (callback) callback(error);
        else call.emit('error', error);
      };
      const rejectMalformed = (): void => fail(new IsthmusError('INVALID_FIELD', 'the message is not of its type'));
      if (call.request === malformed) {
        rejectMalformed();
        return;
      }
      onMalformed(call, rejectMalformed);
      const run = async (): Promise<void> => {
        const result = await handler(call, this.authorise(call.metadata, path, access));
        if (callback) callback(null, result);
      };
      if (!streams && callback === undefined) fail(new Error('no callback'));
      else run().catch(fail);
    };
  }

  private streamOf(metadata: grpc.Metadata): (Duplex & { readonly peer?: P }) | undefined {
    const id = metadata.get(STREAM_HEADER)[0];
    return typeof id === 'string' ? this.streams.get(id) : undefined;
  }

  private authorise(metadata: grpc.Metadata, path: string, access: MethodAccess): Caller<P> {
    const stream = this.streamOf(metadata);
    if (stream === undefined) throw new IsthmusError('ROLE_FORBIDDEN', `${path}: the call's stream is not known`);
    const peer = stream.peer;
    if (!('anyone' in access) && (peer === undefined || !access.roles.includes(peer.role))) {
      const who = peer === undefined ? 'a peer without a certificate' : `${peer.node} (${peer.role})`;
      throw new IsthmusError('ROLE_FORBIDDEN', `${who} may not call ${path}`);
    }
    return {
      stream,
      // Read on each use: during a long call the peer may show a renewed certificate.
      get peer(): P {
        const { peer } = stream;
        if (peer === undefined) throw new IsthmusError('ROLE_FORBIDDEN', `${path}: the peer has no certificate`);
        return peer;
      },
    };
  }
}

/**
 * Gives grpc-js's node:http2 server these options and returns it. There is no public API for that, and without it neither
 * windows nor limits can be set. grpc-js is pinned, and grpc.test.ts fails when this stops working.
 */
function captureHttp2Server(server: Server, options: ServerOptions): () => Http2Server {
  const internals = server as unknown as {
    readonly commonServerOptions: ServerOptions;
    createHttp2Server(credentials: unknown): Http2Server;
  };
  Object.assign(internals.commonServerOptions, options);
  const create = internals.createHttp2Server.bind(server);
  let http2Server: Http2Server | undefined;
  internals.createHttp2Server = (credentials) => (http2Server = create(credentials));
  return () => {
    if (http2Server === undefined) throw new Error('grpc-js creates its server differently');
    return http2Server;
  };
}

/** Replaces an unreadable message: grpc-js would answer INTERNAL, as if this side were at fault. */
const malformed = Symbol('malformed');

function carefully(deserialize: (bytes: Buffer) => unknown): (bytes: Buffer) => unknown {
  return (bytes) => {
    try {
      return deserialize(bytes);
    } catch {
      return malformed;
    }
  };
}

/** Keeps malformed messages of a stream from its handler. */
function onMalformed(call: LooseCall, reject: () => void): void {
  if (!('push' in call)) return;
  const stream = call as unknown as { push(message: unknown): boolean };
  const push = stream.push.bind(stream);
  stream.push = (message) => {
    if (message !== malformed) return push(message);
    reject();
    return false;
  };
}

function closed(stream: Duplex): Promise<void> {
  return stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once('close', () => resolve()));
}
