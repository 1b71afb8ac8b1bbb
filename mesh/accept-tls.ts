// The accepting side of TLS on any stream. By a `tls.Server`: only it reads OpenSSL's verdict on the peer's certificate
// and reports errors after the handshake. What it reports does not say of which stream, so that each has one handshake
// at a time; and making one parses key and certificates, as long as a handshake takes, so that it serves the next one
// too.
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

/** What a burst of handshakes leaves for the next one; each holds key and certificates, some 50 KB. */
const mostSpare = 64;
/** Servers that have no handshake under way, by their options: today's certificate makes others. */
const spare = new WeakMap<TlsOptions, tls.Server[]>();

/**
 * Completes the handshake as the server. Connections to be had cheaply pass the same `options` object; the caller's
 * deadline destroys the stream, which rejects. INNER_TLS when what came is wrong, UNREACHABLE when the peer left. From
 * then on the session owns the handle of the stream: destroy the session, not the stream. Destroying a socket and, in
 * the same turn, the session over it ends the process (Node 24: SIGSEGV).
 */
export function acceptTls(stream: Duplex, options: TlsOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) {
      reject(new IsthmusError('UNREACHABLE', 'the stream closed before the TLS handshake'));
      return;
    }
    const servers = spare.get(options) ?? [];
    spare.set(options, servers);
    const server = servers.pop() ?? tls.createServer(options);
    const over = (): void => {
      server.removeAllListeners('secureConnection').removeAllListeners('tlsClientError');
      if (servers.length < mostSpare) servers.push(server);
    };
    server.once('secureConnection', (socket) => {
      over();
      // Later errors close the socket; whoever uses it listens for that.
      socket.on('error', () => undefined);
      resolve(socket);
    });
    server.once('tlsClientError', (error, socket) => {
      over();
      socket.on('error', () => undefined);
      socket.destroy();
      stream.destroy();
      const code = isWrongTls(error) ? 'INNER_TLS' : 'UNREACHABLE';
      reject(new IsthmusError(code, `the TLS handshake failed: ${error.message}`));
    });
    server.emit('connection', stream);
  });
}
