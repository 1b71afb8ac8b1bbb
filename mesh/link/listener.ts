// The one port: an accept loop of our own. It caps connections, gives each a deadline until it has said what it is for,
// terminates TLS, and hands it on by what TLS settled: a link, a bulk tunnel, or an enrolment without a certificate.
//
//   silent → waiting → (its turn) → known → settled      where there are too many, a silent one goes, or one that
//                               ↘ stalled                stalls; where all wait their turn, the newcomer
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerIdentity } from '../../certs/peer.ts';
import { alpn, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { MeshLimits } from '../limits.ts';
import type { Trust } from '../e2e/session.ts';
import { acceptTls } from '../accept-tls.ts';
import { listenOn, type Connection } from './connection.ts';
import { HandshakeLimiter } from './handshake-limiter.ts';

/** An accepted connection; `settled` ends the deadline once its first message was good. */
export interface InboundConnection extends Connection {
  settled(): void;
}

export interface ListenerHandlers {
  link(connection: InboundConnection, peer: PeerIdentity): void;
  bulk(connection: InboundConnection, peer: PeerIdentity): void;
  enrol(connection: InboundConnection): void;
  /** A link whose certificate was not accepted: it may be told why, and nothing else. */
  refuseLink(connection: InboundConnection, error: IsthmusError): void;
}

/** A connection that has not said yet what it is for. */
interface Pending {
  /** As it was at first: a socket that has closed does not tell any more. */
  readonly address: string;
  readonly deadline: NodeJS.Timeout;
  phase: 'silent' | 'waiting' | 'stalled' | 'known';
  /** Gives back its turn, or its place in the queue. */
  leave: () => void;
}

export interface PortListener {
  readonly address: string;
  stop(): Promise<void>;
}

/** Opens the port. Handlers get connections whose peer was verified; an `enrol` connection has none. */
export async function startListener(
  listen: string,
  trust: Trust,
  limits: Pick<MeshLimits, 'connections' | 'handshakes' | 'handshakeMs' | 'concurrentHandshakes' | 'handshakeSlotMs'>,
  handlers: ListenerHandlers,
  log: Logger,
): Promise<PortListener> {
  /** Each connection by its socket: the TLS session once there is one, which then owns the handle (terminate.ts). */
  const sockets = new Map<net.Socket, Duplex>();
  /** In order of arrival: of those that may go the oldest is the first. */
  const pending = new Map<net.Socket, Pending>();
  const handshakes = new HandshakeLimiter(limits);

  const close = (raw: net.Socket) => (sockets.get(raw) ?? raw).destroy();

  const settle = (raw: net.Socket) => {
    const entry = pending.get(raw);
    clearTimeout(entry?.deadline);
    entry?.leave();
    pending.delete(raw);
  };

  /** Makes room for one more that has not said who it is; false when all who wait deserve to more. */
  const makeRoom = (): boolean => {
    if (pending.size < limits.handshakes) return true;
    for (const phase of ['silent', 'stalled'] as const) {
      for (const [raw, entry] of pending) {
        if (entry.phase !== phase) continue;
        settle(raw);
        close(raw);
        return true;
      }
    }
    return false;
  };

  const server = net.createServer({ noDelay: true, pauseOnConnect: false }, (raw) => {
    raw.on('error', () => undefined);
    if (sockets.size >= limits.connections || !makeRoom()) {
      raw.destroy();
      return;
    }
    sockets.set(raw, raw);
    const deadline = setTimeout(() => close(raw), limits.handshakeMs);
    const address = raw.remoteAddress ?? 'unknown';
    const entry: Pending = { address, deadline, phase: 'silent', leave: () => undefined };
    pending.set(raw, entry);
    raw.once('close', () => {
      settle(raw);
      sockets.delete(raw);
    });
    // What it said stays in the socket for TLS to read.
    raw.once('readable', () => {
      if (!pending.has(raw)) return;
      entry.phase = 'waiting';
      entry.leave = handshakes.take(
        () => secure(raw, entry),
        () => (entry.phase = 'stalled'),
      );
    });
  });

  const secure = (raw: net.Socket, entry: Pending) => {
    const options = linkServerOptions(trust.identity.current(), Object.values(alpn));
    acceptTls(raw, options)
      .then((session) => {
        if (sockets.has(raw)) sockets.set(raw, session);
        entry.leave();
        entry.phase = 'stalled';
        dispatch({ raw, tls: session, settled: () => settle(raw) }, entry);
      })
      .catch((thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        trust.denials.note(error, entry.address, 'mesh port');
        const facts = { address: entry.address, code: error.code, err: error.message };
        // The look of a join whether the port is open, or of a load balancer.
        if (raw.bytesRead === 0) log.debug(facts, 'connection closed before it said anything');
        else log.warn(facts, 'connection refused');
        close(raw);
      });
  };

  const dispatch = (connection: InboundConnection, entry: Pending) => {
    if (connection.tls.alpnProtocol === alpn.enrol) {
      handlers.enrol(connection);
      return;
    }
    let peer: PeerIdentity;
    try {
      peer = verifyPeer(connection.tls, trust.identity.current(), trust.revocations);
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      const tellable = connection.tls.alpnProtocol === alpn.link && error.code !== 'PEER_CERTIFICATE_MISSING';
      if (!tellable) throw error;
      trust.denials.note(error, entry.address, 'mesh port');
      log.warn({ address: entry.address, code: error.code, err: error.message }, 'link refused');
      handlers.refuseLink(connection, error);
      return;
    }
    entry.phase = 'known';
    if (connection.tls.alpnProtocol === alpn.link) handlers.link(connection, peer);
    else if (connection.tls.alpnProtocol === alpn.bulk) handlers.bulk(connection, peer);
    else throw new IsthmusError('PROTOCOL', 'the peer settled on no protocol of the mesh');
  };

  const address = await listenOn(server, listen);
  server.on('error', (error) => log.error({ err: error }, 'accepting failed'));

  return {
    address,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of sockets.values()) connection.destroy();
      await closed;
    },
  };
}
