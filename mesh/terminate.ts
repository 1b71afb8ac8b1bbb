// The accepting side of TLS on any stream. A `tls.Server` for each connection: only it reads OpenSSL's verdict on the
// peer's certificate and reports errors after the handshake, and it takes today's certificate each time.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket, type TlsOptions } from 'node:tls';
import { IsthmusError } from '../lib/errors.ts';

/**
 * Completes the handshake as the server; the caller's deadline destroys the stream, which rejects. From then on the
 * session owns the handle of the stream: destroy the session, not the stream. Destroying a socket and, in the same turn,
 * the session over it ends the process (Node 24: SIGSEGV).
 */
export function terminateTls(stream: Duplex, options: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) {
      reject(new IsthmusError('UNREACHABLE', 'the stream closed before the TLS handshake'));
      return;
    }
    const server = tls.createServer(options);
    server.once('secureConnection', (socket) => {
      // Later errors close the socket; whoever uses it listens for that.
      socket.on('error', () => undefined);
      resolve(socket);
    });
    server.once('tlsClientError', (error, socket) => {
      socket.on('error', () => undefined);
      socket.destroy();
      stream.destroy();
      reject(new IsthmusError('INNER_TLS', `the TLS handshake failed: ${error.message}`));
    });
    server.emit('connection', stream);
  });
}
