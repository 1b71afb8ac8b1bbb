// The one port: an accept loop of our own. It caps connections, gives each a deadline until it has said what it is for,
// terminates TLS, and hands it on by what TLS settled: a link, a bulk tunnel, or an enrolment without a certificate.
import net from 'node:net';
import type { Duplex } from 'node:stream';
import type { PeerIdentity } from '../../certs/peer.ts';
import { alpn, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Logger } from '../../lib/log.ts';
import type { MeshLimits } from '../limits.ts';
import type { InnerTrust } from '../tunnel/inner.ts';
import { terminateTls } from '../terminate.ts';
import { formatAddress, parseAddress, type Connection } from './socket.ts';

/** An accepted connection; `settled` ends the deadline once its first message was good. */
export interface Accepted extends Connection {
  settled(): void;
}

export interface AcceptorHandlers {
  link(connection: Accepted, peer: PeerIdentity): void;
  bulk(connection: Accepted, peer: PeerIdentity): void;
  enrol(connection: Accepted): void;
  /** A link whose certificate was not accepted: it may be told why, and nothing else. */
  refuseLink(connection: Accepted, error: IsthmusError): void;
}

export interface Acceptor {
  readonly address: string;
  stop(): Promise<void>;
}

/** Opens the port. Handlers get connections whose peer was verified; an `enrol` connection has none. */
export async function startAcceptor(
  listen: string,
  trust: InnerTrust,
  limits: Pick<MeshLimits, 'connections' | 'handshakes' | 'handshakeMs'>,
  handlers: AcceptorHandlers,
  log: Logger,
): Promise<Acceptor> {
  /** Each connection by its socket: the TLS session once there is one, which then owns the handle (terminate.ts). */
  const sockets = new Map<net.Socket, Duplex>();
  /** In order of arrival: the oldest is the first to go. */
  const pending = new Map<net.Socket, NodeJS.Timeout>();

  const close = (raw: net.Socket) => (sockets.get(raw) ?? raw).destroy();

  const settle = (raw: net.Socket) => {
    clearTimeout(pending.get(raw));
    pending.delete(raw);
  };

  const server = net.createServer({ noDelay: true, pauseOnConnect: false }, (raw) => {
    raw.on('error', () => undefined);
    if (sockets.size >= limits.connections) {
      raw.destroy();
      return;
    }
    if (pending.size >= limits.handshakes) {
      const oldest = pending.keys().next().value;
      if (oldest !== undefined) close(oldest);
    }
    sockets.set(raw, raw);
    pending.set(
      raw,
      setTimeout(() => close(raw), limits.handshakeMs),
    );
    raw.once('close', () => {
      settle(raw);
      sockets.delete(raw);
    });
    secure(raw);
  });

  const secure = (raw: net.Socket) => {
    const options = { ...linkServerOptions(trust.identity.current()), ALPNProtocols: Object.values(alpn) };
    terminateTls(raw, options)
      .then((session) => {
        if (sockets.has(raw)) sockets.set(raw, session);
        dispatch({ raw, tls: session, settled: () => settle(raw) });
      })
      .catch((thrown: unknown) => {
        const error = IsthmusError.from(thrown);
        trust.refusals.note(error, raw.remoteAddress ?? 'unknown', 'mesh port');
        log.warn({ address: raw.remoteAddress, code: error.code, err: error.message }, 'connection refused');
        close(raw);
      });
  };

  const dispatch = (connection: Accepted) => {
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
      trust.refusals.note(error, connection.raw.remoteAddress ?? 'unknown', 'mesh port');
      log.warn({ address: connection.raw.remoteAddress, code: error.code, err: error.message }, 'link refused');
      handlers.refuseLink(connection, error);
      return;
    }
    if (connection.tls.alpnProtocol === alpn.link) handlers.link(connection, peer);
    else if (connection.tls.alpnProtocol === alpn.bulk) handlers.bulk(connection, peer);
    else throw new IsthmusError('PROTOCOL', 'the peer settled on no protocol of the mesh');
  };

  const { host, port } = parseAddress(listen);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(new IsthmusError('PORT_IN_USE', `cannot listen on ${listen}: ${error.code ?? error.message}`)),
    );
    server.listen({ host, port }, resolve);
  });
  server.on('error', (error) => log.error({ err: error }, 'accepting failed'));
  const bound = server.address() as net.AddressInfo;

  return {
    address: formatAddress(bound.address, bound.port),
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const connection of sockets.values()) connection.destroy();
      await closed;
    },
  };
}
