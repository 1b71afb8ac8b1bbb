// The node's port, with an accept loop of our own: it caps connections, gives each a deadline until its first message,
// accepts TLS, and dispatches by ALPN to a link, a bulk tunnel, or an enrolment without a certificate.
//
//   silent → waiting → (handshake) → known → settled      over a cap, the oldest silent or stalled connection is closed;
//                                ↘ stalled                where there is none, the new one
import net from 'node:net';
import { logErrorsOf } from '../../lib/async/background.ts';
import type { PeerIdentity } from '../../certs/peer.ts';
import { ALPN, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { PendingConnections, type PendingConnection } from '../../lib/net/pending-connections.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { MeshLimits } from '../limits.ts';
import { acceptTls } from '../accept-tls.ts';
import type { Trust } from '../trust.ts';
import { listenOn, type Connection } from './connection.ts';
import { HandshakeLimiter } from './handshake-limiter.ts';

/** The name of this port in denials. */
const MESH_PORT = 'mesh port';

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

export interface PortListener {
  readonly address: string;
  stop(): Promise<void>;
}

/** Opens the port. Handlers get connections whose peer was verified; an `enrol` connection has none. */
export async function startListener(
  listen: string,
  trust: Trust,
  limits: Pick<
    MeshLimits,
    'connections' | 'handshakes' | 'handshakesPerNetwork' | 'handshakeMs' | 'concurrentHandshakes' | 'handshakeSlotMs'
  >,
  handlers: ListenerHandlers,
  log: Logger,
): Promise<PortListener> {
  /** Open connections, each with what destroys it. */
  const open = new Map<net.Socket, PendingConnection>();
  const pending = new PendingConnections(
    { inAll: limits.handshakes, perNetwork: limits.handshakesPerNetwork, ms: limits.handshakeMs },
    (error, address) => trust.denials.record(error, address, MESH_PORT),
  );
  const handshakes = new HandshakeLimiter(limits);

  const server = net.createServer({ noDelay: true, pauseOnConnect: false }, (raw) => {
    raw.on('error', () => undefined);
    const connection = open.size >= limits.connections ? undefined : pending.admit(raw);
    if (connection === undefined) {
      raw.destroy();
      return;
    }
    open.set(raw, connection);
    let leave = () => undefined as void;
    raw.once('close', () => {
      open.delete(raw);
      leave();
    });
    // The bytes stay in the socket for TLS to read.
    raw.once('readable', () => {
      if (raw.destroyed) return;
      connection.held = true;
      leave = handshakes.acquire(
        () => secure(raw, connection, () => leave()),
        () => (connection.held = false),
      );
    });
  });

  const secure = (raw: net.Socket, connection: PendingConnection, leave: () => void) => {
    const { address } = connection;
    Promise.try(() => acceptTls(raw, linkServerOptions(trust.identity.current(), Object.values(ALPN))))
      .then((session) => {
        connection.stream = session;
        leave();
        connection.held = false;
        dispatch({ raw, tls: session, settled: () => connection.settle() }, connection);
      })
      .catch((thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        trust.denials.record(error, address, MESH_PORT);
        const facts = { address, code: error.code, err: error.message };
        // A join that checks whether the port is open, or a load balancer.
        if (raw.bytesRead === 0) log.debug(facts, 'connection closed before its first byte');
        else log.warn(facts, 'connection denied');
        connection.close();
      });
  };

  const dispatch = (connection: InboundConnection, pendingConnection: PendingConnection) => {
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
      const { address } = pendingConnection;
      trust.denials.record(error, address, MESH_PORT);
      log.warn({ address, code: error.code, err: error.message }, 'link denied');
      handlers.denyLink(connection, error);
      return;
    }
    pendingConnection.held = true;
    if (connection.tls.alpnProtocol === ALPN.link) handlers.link(connection, peer);
    else if (connection.tls.alpnProtocol === ALPN.bulk) handlers.bulk(connection, peer);
    else throw new IsthmusError('PROTOCOL', 'the peer negotiated no protocol of the mesh');
  };

  const address = await listenOn(server, listen);
  logErrorsOf(server, 'mesh.listener', log);

  return {
    address,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of open.values()) connection.close();
      await closed;
    },
  };
}
