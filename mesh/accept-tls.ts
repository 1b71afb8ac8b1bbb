// The accepting side of TLS on any stream. It uses a `tls.Server`, because only that reads OpenSSL's verdict on the
// peer's certificate and reports errors after the handshake. Its reports do not name the stream, so each server has one
// handshake at a time. Creating one parses key and certificates, which takes as long as a handshake, so servers are
// reused.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket, type TlsOptions } from 'node:tls';
import { IsthmusError } from '../contract/errors.ts';

/**
 * Whether a TLS session failed because of what came in: not because the peer left, or sent an alert about our bytes.
 */
export function isWrongTls(error: NodeJS.ErrnoException): boolean {
  const { code = '' } = error;
  return code.startsWith('ERR_SSL_') && !code.includes('_ALERT_');
}

/** Idle servers kept after a burst of handshakes; each holds key and certificates, about 50 KB. */
const MAX_IDLE_SERVERS = 64;
/** Servers without a handshake, by their options: a renewed certificate has new options. */
const idleServers = new WeakMap<TlsOptions, tls.Server[]>();

/**
 * Completes the handshake as the server. Servers are reused for the same `options` object. The caller's deadline
 * destroys the stream, which rejects. E2E_TLS when the peer sent wrong bytes, UNREACHABLE when it left. Afterwards
 * the session owns the handle of the stream: destroy the session, not the stream. Destroying a socket and, in the same
 * turn, the session over it ends the process (Node 24: SIGSEGV).
 */
export function acceptTls(stream: Duplex, options: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) {
      reject(new IsthmusError('UNREACHABLE', 'the stream closed before the TLS handshake'));
      return;
    }
    const servers = idleServers.get(options) ?? [];
    idleServers.set(options, servers);
    const server = servers.pop() ?? tls.createServer(options);
    const free = (): void => {
      server.removeAllListeners('secureConnection').removeAllListeners('tlsClientError');
      if (servers.length < MAX_IDLE_SERVERS) servers.push(server);
    };
    server.once('secureConnection', (socket) => {
      free();
      // Later errors close the socket, and its user listens for that.
      socket.on('error', () => undefined);
      resolve(socket);
    });
    server.once('tlsClientError', (error, socket) => {
      free();
      socket.on('error', () => undefined);
      socket.destroy();
      stream.destroy();
      const code = isWrongTls(error) ? 'E2E_TLS' : 'UNREACHABLE';
      reject(new IsthmusError(code, `the TLS handshake failed: ${error.message}`));
    });
    server.emit('connection', stream);
  });
}
