// The open port: nodes of the site fetch packages here without a tunnel, over mutual TLS with the mesh's certificates.
import { createServer, type TLSSocket } from 'node:tls';
import { logErrorsOf } from '../lib/async/background.ts';
import type { IdentityStore } from '../certs/identity.ts';
import type { PeerIdentity } from '../certs/peer.ts';
import type { RevocationList } from '../certs/revocations.ts';
import { linkServerOptions, verifyPeer } from '../certs/tls.ts';
import { IsthmusError } from '../contract/errors.ts';
import { NODE_ROLES } from '../contract/nodes.ts';
import { listenAt } from '../lib/net/listen.ts';
import { limitPending, type PendingLimits } from '../lib/net/pending-connections.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { requireHostPort } from '../lib/net/host-port.ts';
import type { Denials } from '../mesh/denials.ts';
import { isWrongTls } from '../mesh/accept-tls.ts';

export interface OpenPort {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

export interface OpenPortDeps {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly denials: Denials;
  readonly log: Logger;
  readonly onStream: (stream: TLSSocket, peer: PeerIdentity) => void;
}

/** Connections at once, of nodes and before their handshakes. */
const MAX_CONNECTIONS = 2048;
/** Connections before the end of their handshakes: a site may begin to fetch all at once, from one network. */
const HANDSHAKES: PendingLimits = { inAll: 1024, perNetwork: 512, ms: 10_000 };
/** The name of this port in denials. */
const FEED_PORT = 'feed port';

/**
 * Listens at host:port. A peer without a valid certificate, or with a wrong role, is disconnected before HTTP begins.
 */
export async function listenOpenPort(address: string, deps: OpenPortDeps): Promise<OpenPort> {
  const { identity, revocations, denials, log, onStream } = deps;
  const { host, port } = requireHostPort(address, 'feedListen', 'CONFIG_INVALID');
  const peers = new Map<TLSSocket, PeerIdentity>();
  const server = createServer(linkServerOptions(identity.current()));
  server.maxConnections = MAX_CONNECTIONS;
  const pendingOf = limitPending(server, HANDSHAKES, (error, address) => {
    denials.record(error, address, FEED_PORT);
  });
  server.on('tlsClientError', (error, socket) => {
    log.debug({ err: error }, 'a handshake at the open port failed');
    if (!isWrongTls(error)) return;
    denials.record(new IsthmusError('E2E_TLS', error.message), socket.remoteAddress ?? 'unknown', FEED_PORT);
  });
  server.on('secureConnection', (socket) => {
    socket.on('error', () => undefined);
    try {
      const peer = verifyPeer(socket, identity.current(), revocations, { roles: NODE_ROLES });
      pendingOf(socket)?.settle();
      peers.set(socket, peer);
      socket.once('close', () => peers.delete(socket));
      onStream(socket, peer);
    } catch (thrown) {
      const error = IsthmusError.from(thrown);
      denials.record(error, socket.remoteAddress ?? 'unknown', FEED_PORT);
      log.warn({ code: error.code, address: socket.remoteAddress }, 'denied at the open port');
      socket.destroy();
    }
  });
  const stopIdentity = identity.onChange((current) => server.setSecureContext(linkServerOptions(current)));
  const stopRevocations = revocations.onChange(() => {
    for (const [socket, peer] of peers) if (revocations.isRevoked(peer)) socket.destroy();
  });
  const bound = await listenAt(server, host, port, 'feedListen').catch((thrown: unknown) => {
    stopIdentity();
    stopRevocations();
    throw thrown;
  });
  logErrorsOf(server, 'mirror.listener', log);
  return {
    host,
    port: bound.port,
    stop: async () => {
      stopIdentity();
      stopRevocations();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of peers.keys()) socket.destroy();
      await closed;
    },
  };
}
