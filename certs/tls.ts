// TLS options of every session in the mesh: TLS 1.3 only, both certificates. The handshake proves that a certificate is
// the peer's; `verifyPeer` judges it, so that a refusal has a code and a reason.
import { constants } from 'node:crypto';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
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

/** For the accepting side: asks for a certificate, does not insist, so that a refusal can be told apart and named. */
export function linkServerOptions(identity: NodeIdentity): TlsOptions {
  return { ...shared, requestCert: true, ...credentialsOf(identity) };
}

/** For the dialling side. */
export function linkClientOptions(identity: NodeIdentity): ConnectionOptions {
  return { ...shared, checkServerIdentity: () => undefined, ...credentialsOf(identity) };
}

/** The chain a node presents: leaf and authority, so that who only knows the pin can check it. */
export function credentialsOf(identity: NodeIdentity): { key: string; cert: string; ca: string } {
  return {
    key: identity.keyPem,
    cert: `${identity.certificatePem}\n${identity.authorityPem}`,
    ca: identity.authorityPem,
  };
}
