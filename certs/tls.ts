// TLS options of every session in the mesh: TLS 1.3 only, both certificates. The handshake proves that a certificate is
// the peer's; `verifyPeer` judges it, so that a denial has a code and a reason.
import { constants } from 'node:crypto';
import { createSecureContext, type ConnectionOptions, type SecureContext, type TlsOptions } from 'node:tls';
import type { NodeIdentity } from './identity.ts';
export { verifyPeer } from './verify.ts';

/** ALPN names on the one port. */
export const alpn = { link: 'h2', bulk: 'isthmus-bulk/1', enrol: 'isthmus-enrol/1' } as const;

const shared = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // verifyPeer refuses, after the handshake and before anything is read.
  rejectUnauthorized: false,
  // A resumed session would not look at the peer's certificate again.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

const serverOptions = new WeakMap<NodeIdentity, Map<string, TlsOptions>>();
const clientContexts = new WeakMap<NodeIdentity, SecureContext>();

/**
 * For the accepting side: asks for a certificate, does not insist, so that a denial can be told apart and named. The
 * same object for the same identity and protocols.
 */
export function linkServerOptions(identity: NodeIdentity, protocols: readonly string[] = []): TlsOptions {
  const known = serverOptions.get(identity) ?? new Map<string, TlsOptions>();
  serverOptions.set(identity, known);
  const key = protocols.join(' ');
  const ALPNProtocols = protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] };
  const options = known.get(key) ?? { ...shared, requestCert: true, ...ALPNProtocols, ...credentialsOf(identity) };
  known.set(key, options);
  return options;
}

/** For the dialling side. Key and certificates are parsed once for each identity. */
export function linkClientOptions(identity: NodeIdentity): ConnectionOptions {
  const options = { ...shared, ...credentialsOf(identity) };
  const secureContext = clientContexts.get(identity) ?? createSecureContext(options);
  clientContexts.set(identity, secureContext);
  return { ...options, checkServerIdentity: () => undefined, secureContext };
}

/** The chain a node presents: leaf and authority, so that who only knows the pin can check it. */
export function credentialsOf(identity: NodeIdentity): { key: string; cert: string; ca: string } {
  return {
    key: identity.keyPem,
    cert: `${identity.certificatePem}\n${identity.authorityPem}`,
    ca: identity.authorityPem,
  };
}
