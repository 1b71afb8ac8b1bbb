// The accepting side of TLS on any stream. A `tls.Server` for each connection: only it reads OpenSSL's verdict on the
// peer's certificate and reports errors after the handshake, and it takes today's certificate each time.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket, type TlsOptions } from 'node:tls';
import { IsthmusError } from '../lib/errors.ts';

/**
 * Whether an error of a TLS session is of what came in: neither a peer that left nor one that did not like what it got
 * (an alert), which it tells by itself.
 */
export function isWrongTls(error: NodeJS.ErrnoException): boolean {
  const { code = '' } = error;
  return code.startsWith('ERR_SSL_') && !code.includes('_ALERT_');
}

/**
 * Completes the handshake as the server; the caller's deadline destroys the stream, which rejects. INNER_TLS when what
 * came is wrong, UNREACHABLE when the peer left. From then on the
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
      const code = isWrongTls(error) ? 'INNER_TLS' : 'UNREACHABLE';
      reject(new IsthmusError(code, `the TLS handshake failed: ${error.message}`));
    });
    server.emit('connection', stream);
  });
}
