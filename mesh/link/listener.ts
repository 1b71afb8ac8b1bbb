// The node's port, with an accept loop of our own: it caps connections, gives each a deadline until its first message,
// accepts TLS, and dispatches by ALPN to a link, a bulk tunnel, or an enrolment without a certificate.
//
//   silent → waiting → (handshake) → known → settled      over the cap, the oldest silent connection is closed, then the
//                                ↘ stalled                oldest stalled one; where all wait, the new one
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerIdentity } from '../../certs/peer.ts';
import { ALPN, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { closeWithin } from '../../lib/async/deadline.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { MeshLimits } from '../limits.ts';
import { acceptTls } from '../accept-tls.ts';
import type { Trust } from '../trust.ts';
import { listenOn, type Connection } from './connection.ts';
import { HandshakeLimiter } from './handshake-limiter.ts';

/** An accepted connection; `settled` ends its deadline once its first message was valid. */
export interface InboundConnection extends Connection {
  settled(): void;
}

export interface ListenerHandlers {
  link(connection: InboundConnection, peer: PeerIdentity): void;
  bulk(connection: InboundConnection, peer: PeerIdentity): void;
  enrol(connection: InboundConnection): void;
  /** A link whose certificate is not valid: it may be told why, and nothing else. */
  denyLink(connection: InboundConnection, error: IsthmusError): void;
}

/** A connection before its first message. */
interface Pending {
  /** Kept, because a closed socket does not have it. */
  readonly address: string;
  phase: 'silent' | 'waiting' | 'stalled' | 'known';
  /** Gives back its handshake slot, or leaves the queue. */
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
  /** What to destroy for each socket: its TLS session once there is one, see `acceptTls`. */
  const sockets = new Map<net.Socket, Duplex>();
  /** In order of arrival. */
  const pending = new Map<net.Socket, Pending>();
  const handshakes = new HandshakeLimiter(limits);

  const close = (raw: net.Socket) => (sockets.get(raw) ?? raw).destroy();

  const settle = (raw: net.Socket) => {
    const entry = pending.get(raw);
    entry?.leave();
    pending.delete(raw);
  };

  /** Makes room for one more pending connection; false when none may be closed for it. */
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
    const address = raw.remoteAddress ?? 'unknown';
    const entry: Pending = { address, phase: 'silent', leave: () => undefined };
    pending.set(raw, entry);
    closeWithin(raw, limits.handshakeMs, () => {
      if (pending.has(raw)) close(raw);
    });
    raw.once('close', () => {
      settle(raw);
      sockets.delete(raw);
    });
    // The bytes stay in the socket for TLS to read.
    raw.once('readable', () => {
      if (!pending.has(raw)) return;
      entry.phase = 'waiting';
      entry.leave = handshakes.acquire(
        () => secure(raw, entry),
        () => (entry.phase = 'stalled'),
      );
    });
  });

  const secure = (raw: net.Socket, entry: Pending) => {
    const options = linkServerOptions(trust.identity.current(), Object.values(ALPN));
    acceptTls(raw, options)
      .then((session) => {
        if (sockets.has(raw)) sockets.set(raw, session);
        entry.leave();
        entry.phase = 'stalled';
        dispatch({ raw, tls: session, settled: () => settle(raw) }, entry);
      })
      .catch((thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        trust.denials.record(error, entry.address, 'mesh port');
        const facts = { address: entry.address, code: error.code, err: error.message };
        // A join that checks whether the port is open, or a load balancer.
        if (raw.bytesRead === 0) log.debug(facts, 'connection closed before its first byte');
        else log.warn(facts, 'connection denied');
        close(raw);
      });
  };

  const dispatch = (connection: InboundConnection, entry: Pending) => {
    if (connection.tls.alpnProtocol === ALPN.enrol) {
      handlers.enrol(connection);
      return;
    }
    let peer: PeerIdentity;
    try {
      peer = verifyPeer(connection.tls, trust.identity.current(), trust.revocations);
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      const mayBeTold = connection.tls.alpnProtocol === ALPN.link && error.code !== 'PEER_CERTIFICATE_MISSING';
      if (!mayBeTold) throw error;
      trust.denials.record(error, entry.address, 'mesh port');
      log.warn({ address: entry.address, code: error.code, err: error.message }, 'link denied');
      handlers.denyLink(connection, error);
      return;
    }
    entry.phase = 'known';
    if (connection.tls.alpnProtocol === ALPN.link) handlers.link(connection, peer);
    else if (connection.tls.alpnProtocol === ALPN.bulk) handlers.bulk(connection, peer);
    else throw new IsthmusError('PROTOCOL', 'the peer negotiated no protocol of the mesh');
  };

  const address = await listenOn(server, listen);
  server.on('error', (error) => log.error({ err: error }, 'the listener failed'));

  return {
    address,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of sockets.values()) connection.destroy();
      await closed;
    },
  };
}
