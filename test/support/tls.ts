// One TLS session inside this process, over a real socket pair.
import { connect, TLSSocket, type ConnectionOptions, type TLSSocketOptions, createSecureContext } from 'node:tls';
import { onTestFinished } from 'vitest';
import { socketPair } from './streams.ts';

export interface TlsSides {
  readonly client: TLSSocket;
  readonly server: TLSSocket;
}

/** Runs the handshake and gives both ends; rejects when either end rejects it. */
export async function tlsPair(serverOptions: TLSSocketOptions, clientOptions: ConnectionOptions): Promise<TlsSides> {
  const [near, far] = await socketPair();
  const server = new TLSSocket(far, {
    ...serverOptions,
    isServer: true,
    secureContext: createSecureContext(serverOptions),
  });
  const client = connect({ ...clientOptions, socket: near });
  // Only the TLS sockets: they own the handles of those below, and destroying one twice takes the process down.
  onTestFinished(() => [server, client].forEach((socket) => socket.destroy()));
  const ready = [readiness(server, 'secure'), readiness(client, 'secureConnect')];
  try {
    await Promise.all(ready);
  } catch (thrown) {
    client.destroy();
    server.destroy();
    throw thrown;
  }
  return { client, server };
}

function readiness(socket: TLSSocket, event: 'secure' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve);
    socket.on('error', reject);
    socket.once('close', () => reject(new Error('closed during the handshake, with an alert or without')));
  });
}
