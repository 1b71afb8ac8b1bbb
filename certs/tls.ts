// TLS options of every session in the mesh: TLS 1.3 only, certificates on both sides. The handshake proves that the
// certificate belongs to the peer; `verifyPeer` then verifies it, so that a denial has a code and a reason.
import { constants } from 'node:crypto';
import { createSecureContext, type ConnectionOptions, type SecureContext, type TlsOptions } from 'node:tls';
import type { NodeIdentity } from './identity.ts';
export { verifyPeer } from './verify.ts';

/** ALPN names on a node's port. */
export const ALPN = { link: 'h2', bulk: 'isthmus-bulk/1', enrol: 'isthmus-enrol/1' } as const;

/** Options of every TLS session of an enrolment: pin and token prove the peers, after the handshake. */
export const ENROL_TLS: Required<Pick<TlsOptions, 'minVersion' | 'rejectUnauthorized' | 'ALPNProtocols'>> = {
  minVersion: 'TLSv1.3',
  rejectUnauthorized: false,
  ALPNProtocols: [ALPN.enrol],
};

const SHARED = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  // verifyPeer rejects instead, after the handshake and before anything is read.
  rejectUnauthorized: false,
  // A resumed session would not check the peer's certificate again.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

const serverOptions = new WeakMap<NodeIdentity, Map<string, TlsOptions>>();
const clientContexts = new WeakMap<NodeIdentity, SecureContext>();

/**
 * Options of the listening side. They request a certificate without requiring it, so that a denial can name its reason.
 * The same identity and protocols give the same object.
 */
export function linkServerOptions(identity: NodeIdentity, protocols: readonly string[] = []): TlsOptions {
  const known = serverOptions.get(identity) ?? new Map<string, TlsOptions>();
  serverOptions.set(identity, known);
  const key = protocols.join(' ');
  const ALPNProtocols = protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] };
  const options = known.get(key) ?? { ...SHARED, requestCert: true, ...ALPNProtocols, ...credentialsOf(identity) };
  known.set(key, options);
  return options;
}

/** Options of the connecting side. Key and certificates are parsed once per identity. */
export function linkClientOptions(identity: NodeIdentity): ConnectionOptions {
  const options = { ...SHARED, ...credentialsOf(identity) };
  const secureContext = clientContexts.get(identity) ?? createSecureContext(options);
  clientContexts.set(identity, secureContext);
  return { ...options, checkServerIdentity: () => undefined, secureContext };
}

/** The chain that a node presents: leaf and authority, so that a peer that only knows the pin can check it. */
export function credentialsOf(identity: NodeIdentity): { key: string; cert: string; ca: string } {
  return {
    key: identity.keyPem,
    cert: `${identity.certificatePem}\n${identity.authorityPem}`,
    ca: identity.authorityPem,
  };
}
