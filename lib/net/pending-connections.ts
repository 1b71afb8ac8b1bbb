// Connections that have not proven who they are: bounded in number, in all and for each network, and in time. Over a
// limit the oldest gives way, so that a stranger with thousands of connections keeps nobody out: a newcomer who proves
// itself does so within a few turns of the event loop, each of which accepts one connection.
import type { Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';
import { networkOf } from './network-address.ts';

export interface PendingLimits {
  /** At once. */
  readonly inAll: number;
  /** At once from one network (`networkOf`). */
  readonly perNetwork: number;
  /** From accept until the connection is settled. */
  readonly ms: number;
}

/** Called with the address of every connection that gives way to a newer one. */
type OnCrowd = (error: IsthmusError, address: string) => void;

/** Made once: its stack would cost more than a tenth of accepting a connection. */
const CROWDED = new IsthmusError('RATE_LIMITED', 'too many connections that do not say who they are');

export class PendingConnection {
  readonly address: string;
  /** What to destroy: the TLS session once there is one. Destroying both in one turn ends the process (Node 24). */
  stream: Duplex;
  /** Whether it is being served, and must not give way. */
  held = false;
  readonly #forget: () => void;
  #timer: NodeJS.Timeout | undefined;
  #settled = false;

  constructor(raw: Socket, address: string, forget: () => void) {
    this.stream = raw;
    this.address = address;
    this.#forget = forget;
    raw.once('close', () => this.settle());
  }

  /** Closes the connection unless it is settled within `ms` from now. Does nothing when it is. */
  allow(ms: number): void {
    if (this.#settled) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), ms).unref();
  }

  /** The peer has proven who it is: no limit here applies to the connection any more. Idempotent. */
  settle(): void {
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#forget();
  }

  close(): void {
    this.settle();
    this.stream.destroy();
  }
}

export class PendingConnections {
  readonly #limits: PendingLimits;
  readonly #onCrowd: OnCrowd;
  /** By network, each in order of arrival. */
  readonly #networks = new Map<string, Set<PendingConnection>>();
  #size = 0;

  constructor(limits: PendingLimits, onCrowd: OnCrowd) {
    this.#limits = limits;
    this.#onCrowd = onCrowd;
  }

  /** Admits a connection that was just accepted; undefined when all that would have to give way are held. */
  admit(raw: Socket): PendingConnection | undefined {
    const address = raw.remoteAddress ?? 'unknown';
    const network = networkOf(address);
    if (!this.#makeRoom(network)) return undefined;
    const connections = this.#networks.get(network) ?? new Set();
    this.#networks.set(network, connections);
    const connection: PendingConnection = new PendingConnection(raw, address, () => {
      if (!connections.delete(connection)) return;
      this.#size -= 1;
      if (connections.size === 0 && this.#networks.get(network) === connections) this.#networks.delete(network);
    });
    connections.add(connection);
    this.#size += 1;
    connection.allow(this.#limits.ms);
    return connection;
  }

  #makeRoom(network: string): boolean {
    const own = this.#networks.get(network);
    const isFull = own !== undefined && own.size >= this.#limits.perNetwork;
    if (!isFull && this.#size < this.#limits.inAll) return true;
    const oldest = isFull ? own.values().find(yields) : this.#oldestOfTheLargest();
    if (oldest === undefined) return false;
    oldest.close();
    this.#onCrowd(CROWDED, oldest.address);
    return true;
  }

  /** Of the network with the most connections that may give way: one network cannot push out the others. */
  #oldestOfTheLargest(): PendingConnection | undefined {
    let largest: PendingConnection[] = [];
    for (const connections of this.#networks.values()) {
      const candidates = connections.values().filter(yields).toArray();
      if (candidates.length > largest.length) largest = candidates;
    }
    return largest[0];
  }
}

function yields({ held }: PendingConnection): boolean {
  return !held;
}

/**
 * Limits the pending connections of a server of TCP, TLS, HTTP or HTTPS. The returned function finds the connection
 * of a socket that the server hands out.
 */
export function limitPending(
  server: Server,
  limits: PendingLimits,
  onCrowd: OnCrowd,
): (socket: Socket) => PendingConnection | undefined {
  const pending = new PendingConnections(limits, onCrowd);
  const bySocket = new Map<string, PendingConnection>();
  server.prependListener('connection', (raw: Socket) => {
    const [key, connection] = [keyOf(raw), pending.admit(raw)];
    if (connection === undefined) {
      raw.destroy();
      return;
    }
    bySocket.set(key, connection);
    raw.once('close', () => {
      if (bySocket.get(key) === connection) bySocket.delete(key);
    });
  });
  const find = (socket: Socket): PendingConnection | undefined => bySocket.get(keyOf(socket));
  server.prependListener('secureConnection', (session: TLSSocket) => {
    const connection = find(session);
    if (connection !== undefined) connection.stream = session;
  });
  return find;
}

/** A TLS session has the same as the socket below it. */
function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
