// Channel credentials that give grpc-js one stream, which is already connected and encrypted.
import { ChannelCredentials, credentials, type experimental } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

type CallCredentials = ReturnType<typeof credentials.createEmpty>;

/** Serves exactly one connection: a reconnect of the channel fails, and its owner connects again. */
export class StreamCredentials extends ChannelCredentials {
  private stream: Duplex | undefined;

  constructor(stream: Duplex) {
    super();
    this.stream = stream;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    _target: unknown,
    _options: unknown,
    callCredentials: CallCredentials = credentials.createEmpty(),
  ): experimental.SecureConnector {
    return {
      connect: (localSocket) => {
        localSocket.on('error', () => undefined);
        localSocket.destroy();
        const stream = this.stream;
        this.stream = undefined;
        if (stream === undefined || stream.destroyed) return Promise.reject(new Error('the stream has closed'));
        // node:http2 takes any Duplex; the type asks for a Socket because grpc-js's own connectors have one.
        return Promise.resolve({ socket: stream as Socket, secure: true });
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy: () => undefined,
    };
  }
}
