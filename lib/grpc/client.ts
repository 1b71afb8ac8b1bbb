// A gRPC client over injected streams: it holds one at a time, and connects again when a call finds the last one dead.
// A call in flight on a stream that dies fails with UNREACHABLE; a failed connect fails the call with its own error.
import type { CallOptions, ChannelOptions, Client, ClientUnaryCall, requestCallback } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Duplex } from 'node:stream';
import { within } from '../async/deadline.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { unlessAborted } from '../async/waiting.ts';
import { StreamCredentials } from './credentials.ts';
import { fromServiceError } from './errors.ts';
import { localTarget } from './local-listener.ts';
import { SessionGuard } from './session-guard.ts';

/** Largest message in either direction. Bodies are streams; no single message comes near it. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;
/** Fills 100 Mbit/s at 300 ms; on a slower line the mesh's own windows bound the bytes in flight. */
export const DEFAULT_WINDOW_BYTES = 4 * 1024 * 1024;

type ClientConstructor<C extends Client> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: ChannelOptions,
) => C;

/** A connection of a client; who opened it may learn why the client ends it: RATE_LIMITED, PROTOCOL or TUNNEL_SILENT. */
export type ClientStream = Duplex & { readonly onFault?: (error: IsthmusError) => void };

/** Opens the stream for the next connection. The signal aborts when the client is closed. */
export type Connect = (signal: AbortSignal) => Promise<ClientStream>;

export interface GrpcClientOptions {
  /** The called node: the hop of errors for which the peer names none. */
  readonly hop?: string;
  /** HTTP/2 stream and session window of this end. */
  readonly windowBytes?: number;
  /** Whether a connection with open calls ends when nothing comes in (TUNNEL_SILENT). Default: true. */
  readonly expectsLife?: boolean;
}

export interface UnaryOptions {
  /** For the connect, when one is needed, and the call together. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

type State<C extends Client> =
  | { kind: 'idle' }
  | { kind: 'connecting'; promise: Promise<C> }
  | { kind: 'open'; client: C; stream: ClientStream }
  | { kind: 'closed' };

/** A client of one service; `connect` opens its connection, and again whenever the last one has died. */
export function grpcClient<C extends Client>(
  constructor: ClientConstructor<C>,
  connect: Connect,
  options: GrpcClientOptions = {},
): GrpcClient<C> {
  return new GrpcClient(constructor, connect, options);
}

export class GrpcClient<C extends Client> {
  private readonly construct: ClientConstructor<C>;
  private readonly connect: Connect;
  private readonly options: GrpcClientOptions;
  private readonly closing = new AbortController();
  private state: State<C> = { kind: 'idle' };
  /** Why this client ended the connection before the present one. */
  private fault: IsthmusError | undefined;

  constructor(construct: ClientConstructor<C>, connect: Connect, options: GrpcClientOptions) {
    this.construct = construct;
    this.connect = connect;
    this.options = options;
  }

  /** A client over a live stream, for streaming calls: `const call = (await c.ready()).streamLogs()`. */
  ready(): Promise<C> {
    const state = this.state;
    if (state.kind === 'closed') return Promise.reject(new IsthmusError('CANCELLED', 'the client is closed'));
    if (state.kind === 'connecting') return state.promise;
    if (state.kind === 'open' && !state.stream.destroyed) return Promise.resolve(state.client);
    const promise = this.open();
    this.state = { kind: 'connecting', promise };
    return promise;
  }

  /** One unary call as a promise: `c.unary((client, options, done) => client.begin(request, options, done), …)`. */
  async unary<R>(
    invoke: (client: C, options: CallOptions, done: requestCallback<R>) => ClientUnaryCall,
    { deadlineMs, signal }: UnaryOptions,
  ): Promise<R> {
    const deadline = Date.now() + deadlineMs;
    const client = await this.readyWithin(deadlineMs, signal);
    return new Promise<R>((resolve, reject) => {
      const call = invoke(client, { deadline }, (error, value) => {
        signal?.removeEventListener('abort', cancel);
        if (error !== null) reject(this.errorOf(error));
        else if (value === undefined) reject(new IsthmusError('INTERNAL', 'empty answer', { hop: this.options.hop }));
        else resolve(value);
      });
      const cancel = (): void => call.cancel();
      if (signal?.aborted === true) cancel();
      else signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Gives a thrown value of a streaming call its code and hop. */
  errorOf(thrown: unknown): IsthmusError {
    const error = fromServiceError(thrown, this.options.hop);
    return error.code === 'UNREACHABLE' ? (this.fault ?? error) : error;
  }

  /** The stream that calls use now, if there is one. */
  get stream(): Duplex | undefined {
    return this.state.kind === 'open' ? this.state.stream : undefined;
  }

  /** Ends every call in flight (UNREACHABLE) and destroys the stream. Idempotent. */
  close(): void {
    const state = this.state;
    this.state = { kind: 'closed' };
    this.closing.abort();
    // Without an error object: calls in flight must see UNAVAILABLE, not INTERNAL.
    if (state.kind === 'open') state.stream.destroy();
  }

  private async open(): Promise<C> {
    try {
      const [target, stream] = await Promise.all([localTarget(), this.connect(this.closing.signal)]);
      // The stream's errors reach the calls through HTTP/2; without a listener they would end the process.
      stream.on('error', () => undefined);
      if (this.closing.signal.aborted) stream.destroy();
      if (stream.destroyed) throw new IsthmusError('UNREACHABLE', 'the stream closed at once', this.hopContext());
      const { expectsLife = true } = this.options;
      const onFault = (error: IsthmusError): void => {
        this.fault = new IsthmusError(error.code, error.message, this.hopContext());
        stream.onFault?.(error);
      };
      new SessionGuard(stream, { side: 'client', windowBytes: this.windowBytes(), expectsLife, onFault });
      const client = new this.construct(target, new StreamCredentials(stream), this.channelOptions());
      this.state = { kind: 'open', client, stream };
      this.fault = undefined;
      stream.once('close', () => this.retire(client));
      return client;
    } catch (thrown) {
      if (this.state.kind === 'connecting') this.state = { kind: 'idle' };
      throw IsthmusError.from(thrown, 'UNREACHABLE', this.hopContext());
    }
  }

  private retire(client: C): void {
    if (this.state.kind === 'open' && this.state.client === client) this.state = { kind: 'idle' };
    // Later, so that calls in flight learn of the lost connection first.
    setImmediate(() => client.close());
  }

  private async readyWithin(deadlineMs: number, signal: AbortSignal | undefined): Promise<C> {
    if (this.state.kind === 'open' && !this.state.stream.destroyed) return this.state.client;
    const late = () =>
      new IsthmusError('DEADLINE_EXCEEDED', `no connection within ${deadlineMs} ms`, this.hopContext());
    const ready = unlessAborted(this.ready(), signal === undefined ? [] : [signal]);
    return within(ready, { ms: deadlineMs, late });
  }

  private windowBytes(): number {
    return this.options.windowBytes ?? DEFAULT_WINDOW_BYTES;
  }

  private hopContext(): { hop: string | undefined } {
    return { hop: this.options.hop };
  }

  private channelOptions(): ChannelOptions {
    return {
      'grpc.default_authority': 'isthmus',
      'grpc.enable_channelz': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc-node.flow_control_window': this.windowBytes(),
    };
  }
}
