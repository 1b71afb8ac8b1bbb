// One connection of the mesh: the TCP socket below its TLS session, and the byte counts.
import net from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { NodeIdentity } from '../../certs/identity.ts';
import { linkClientOptions } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { listenAt } from '../../lib/net/listen.ts';
import { formatHostPort, requireHostPort } from '../../lib/net/host-port.ts';

/** Sums the bytes of all connections of a link over all its sessions, closed connections included. */
export class ByteCounter {
  #in = 0;
  #out = 0;
  readonly #live = new Set<net.Socket>();

  add(socket: net.Socket): void {
    if (socket.destroyed) {
      this.#settle(socket);
      return;
    }
    this.#live.add(socket);
    socket.once('close', () => {
      this.#live.delete(socket);
      this.#settle(socket);
    });
  }

  get bytesIn(): number {
    let sum = this.#in;
    for (const socket of this.#live) sum += socket.bytesRead;
    return sum;
  }

  get bytesOut(): number {
    let sum = this.#out;
    for (const socket of this.#live) sum += socket.bytesWritten;
    return sum;
  }

  #settle(socket: net.Socket): void {
    this.#in += socket.bytesRead;
    this.#out += socket.bytesWritten;
  }
}

/**
 * Whether the kernel still has the connection. node:http2 reads and writes a TLS socket natively. When a write fails at
 * once because the peer was killed, it neither reports that nor reads on (TLSWrap keeps the failed write as pending),
 * and only the link timeout would notice. There is no public API for it; without it, the link timeout still works.
 */
export function isConnected(socket: net.Socket): boolean {
  if (socket.destroyed) return false;
  const { _handle: handle } = socket as unknown as { _handle?: { getpeername?(out: object): number } | null };
  return handle?.getpeername === undefined || handle.getpeername({}) === 0;
}

export interface Connection {
  readonly raw: net.Socket;
  readonly tls: TLSSocket;
}

/** Opens a port; returns its address as host:port. Fails as `listenAt` does. */
export async function listenOn(server: net.Server, listen: string): Promise<string> {
  const { host, port } = requireHostPort(listen);
  const bound = await listenAt(server, host, port, 'listen');
  return formatHostPort({ host: bound.address, port: bound.port });
}

/** Connects and completes TLS for one protocol of the peer's port. Without an identity, for enrolment only. */
export async function connectTo(
  address: string,
  protocol: string,
  identity: NodeIdentity | undefined,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const { host, port } = requireHostPort(address);
  const raw = net.connect({ host, port, noDelay: true });
  const abort = () => raw.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await opened(raw, 'connect', address, signal);
    const options =
      identity === undefined
        ? { rejectUnauthorized: false, minVersion: 'TLSv1.3' as const }
        : linkClientOptions(identity);
    const session = tls.connect({ ...options, socket: raw, ALPNProtocols: [protocol] });
    // It closes itself and the socket below: destroying that as well, in the same turn, can end the process.
    session.on('error', () => undefined);
    await opened(session, 'secureConnect', address, signal);
    if (session.alpnProtocol !== protocol) throw new IsthmusError('PROTOCOL', `${address} does not offer ${protocol}`);
    return { raw, tls: session };
  } catch (thrown) {
    raw.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE');
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function opened(
  socket: net.Socket,
  event: 'connect' | 'secureConnect',
  address: string,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown) => {
      reject(
        signal.aborted
          ? IsthmusError.from(signal.reason, 'CANCELLED')
          : new IsthmusError('UNREACHABLE', `${address}: ${why}`, { cause }),
      );
    };
    socket.once(event, () => resolve());
    socket.once('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error));
    socket.once('close', () => fail('the connection was closed'));
  });
}
