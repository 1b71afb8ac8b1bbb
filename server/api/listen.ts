// Where the API listens. API keys travel in it, so beyond loopback it is HTTPS with the server's own mesh certificate,
// which clients check against the authority.
import { isIP } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import type { FastifyServerOptions } from 'fastify';
import { IsthmusError } from '../../lib/errors.ts';
import type { ApiInstance } from './context.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What HTTPS needs. */
export interface ServerCertificate {
  readonly keyPem: string;
  /** The leaf. */
  readonly certificatePem: string;
  readonly authorityPem: string;
}

/** Reads `host:port`, `[v6]:port` or `:port`. */
export function parseListen(text: string, field: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new IsthmusError('CONFIG_INVALID', `${field}: "${text}" is not host:port`, { field });
  }
  return { host: bracketed ?? (plain === undefined || plain === '' ? '0.0.0.0' : plain), port: Number(port) };
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** Fastify's options for an address: plain on loopback, else HTTPS; API_NEEDS_TLS when there is no certificate for it. */
export function serverOptionsFor(host: string, certificate: ServerCertificate | undefined): FastifyServerOptions {
  if (isLoopback(host)) return {};
  if (certificate === undefined) {
    throw new IsthmusError('API_NEEDS_TLS', `the API may not listen on ${host} without TLS`, { field: 'api.listen' });
  }
  return { https: tlsOptions(certificate) } as FastifyServerOptions;
}

/** The chain holds the authority too, so that a client that has only its fingerprint can check it. */
export function tlsOptions({ keyPem, certificatePem, authorityPem }: ServerCertificate) {
  return { key: keyPem, cert: `${certificatePem.trimEnd()}\n${authorityPem}`, minVersion: 'TLSv1.3' as const };
}

interface CertificateSource {
  current(): ServerCertificate;
  onChange(listener: (next: ServerCertificate) => void): () => void;
}

/** Serves a renewed certificate from the next handshake on; the answer stops that. */
export function followCertificate(app: ApiInstance, source: CertificateSource): () => void {
  return source.onChange((next) => {
    if ('setSecureContext' in app.server) (app.server as unknown as TlsServer).setSecureContext(tlsOptions(next));
  });
}

/** Listens; answers the address as host:port. PORT_IN_USE names it. */
export async function listen(app: ApiInstance, { host, port }: ListenAddress): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EADDRINUSE') {
      throw new IsthmusError('PORT_IN_USE', `the API cannot listen on ${host}:${port}: the port is in use`, {
        field: 'api.listen',
        cause: thrown,
      });
    }
    throw thrown;
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === 'string') throw new IsthmusError('INTERNAL', 'the API listens nowhere');
  return bound.family === 'IPv6' ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
}
