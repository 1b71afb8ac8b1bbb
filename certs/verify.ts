// Verifies a peer's certificate, after the TLS handshake has proven that the peer has its key: issuer (the authority
// itself; a chain has exactly two certificates), dates, usage, key, name, mesh, revocation, and the expected peer. All
// of it is checked here, because a TLSSocket that no tls.Server created has no verdict from OpenSSL.
import { X509Certificate, type KeyObject } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { IsthmusError, type ErrorCode } from '../contract/errors.ts';
import { readIdentity, type PeerIdentity } from './peer.ts';
import type { NodeRole } from '../contract/nodes.ts';

/** Answers whether a peer is revoked; RevocationList implements it. */
export interface RevocationCheck {
  isRevoked(peer: PeerIdentity): boolean;
}

export interface Expected {
  readonly node?: string | undefined;
  readonly roles?: readonly NodeRole[] | undefined;
}

export interface Trust {
  readonly meshId: string;
  readonly authorityPem: string;
}

/**
 * The proven identity of a TLS peer; throws PEER_CERTIFICATE_…. Call it right after the handshake, before anything is
 * read. `expected` restricts which peer is accepted.
 */
export function verifyPeer(
  socket: TLSSocket,
  trust: Trust,
  revocations: RevocationCheck | undefined,
  expected: Expected = {},
): PeerIdentity {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) {
    throw new IsthmusError('PEER_CERTIFICATE_MISSING', 'the peer presented no certificate');
  }
  // Typed as Error, but it is the name of OpenSSL's verdict, if there is one.
  const verdict: unknown = socket.authorizationError;
  const tlsError = verdict === null || verdict === undefined ? undefined : errorName(verdict);
  return verifyCertificate(certificate, trust, { revocations, expected, tlsError });
}

function errorName(verdict: unknown): string {
  if (typeof verdict === 'string') return verdict;
  return verdict instanceof Error ? verdict.message : 'UNVERIFIED';
}

interface Circumstances {
  readonly revocations?: RevocationCheck | undefined;
  readonly expected?: Expected | undefined;
  /** OpenSSL's error for the chain, if there is one. */
  readonly tlsError?: string | undefined;
  readonly nowMs?: number | undefined;
}

/** As `verifyPeer`, for a certificate without a socket. */
export function verifyCertificate(
  certificate: X509Certificate,
  trust: Trust,
  { revocations, expected = {}, tlsError, nowMs = Date.now() }: Circumstances = {},
): PeerIdentity {
  const reject = (code: ErrorCode, reason: string): never => {
    throw new IsthmusError(code, `${reason} (${circumstances(certificate)})`);
  };
  const weak = weakness(certificate);
  if (weak !== undefined) reject('PEER_CERTIFICATE_WEAK', weak);
  if (!certificate.verify(authorityKey(trust))) {
    reject('PEER_CERTIFICATE_UNTRUSTED', 'the certificate was not issued by the authority of this mesh');
  }
  if (nowMs > certificate.validToDate.getTime()) reject('PEER_CERTIFICATE_EXPIRED', 'the certificate has expired');
  if (nowMs < certificate.validFromDate.getTime()) {
    reject('PEER_CERTIFICATE_NOT_YET_VALID', 'the certificate is not valid yet');
  }
  const misuse = wrongUsage(certificate);
  if (misuse !== undefined) reject('PEER_CERTIFICATE_USAGE', misuse);
  if (tlsError !== undefined) {
    reject('PEER_CERTIFICATE_UNTRUSTED', `TLS does not accept the certificate: ${tlsError}`);
  }
  const peer = readIdentity(certificate);
  if (peer === undefined) {
    return reject('PEER_CERTIFICATE_NAME', 'the certificate names no node: its URI SAN is missing or malformed');
  }
  if (peer.meshId !== trust.meshId) {
    reject('PEER_CERTIFICATE_UNTRUSTED', `the certificate is of mesh ${peer.meshId}, this is ${trust.meshId}`);
  }
  if (revocations?.isRevoked(peer)) reject('PEER_CERTIFICATE_REVOKED', `${peer.node} has been revoked`);
  assertExpected(peer, expected);
  return peer;
}

const authorityKeys = new WeakMap<Trust, KeyObject>();

function authorityKey(trust: Trust): KeyObject {
  const key = authorityKeys.get(trust) ?? new X509Certificate(trust.authorityPem).publicKey;
  authorityKeys.set(trust, key);
  return key;
}

function assertExpected(peer: PeerIdentity, { node, roles }: Expected): void {
  if (node !== undefined && !(node === 'server' ? peer.role === 'server' : peer.node === node)) {
    throw new IsthmusError('PEER_UNEXPECTED', `expected ${node}, but ${peer.node} (${peer.role}) answered`);
  }
  if (roles !== undefined && !roles.includes(peer.role)) {
    throw new IsthmusError('ROLE_FORBIDDEN', `${peer.node} is a ${peer.role}; expected ${roles.join(' or ')}`);
  }
}

function weakness(certificate: X509Certificate): string | undefined {
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey;
  const bits = asymmetricKeyDetails?.modulusLength ?? 0;
  if (asymmetricKeyType === 'rsa' && bits >= 2048) return undefined;
  return `the certificate's key is ${asymmetricKeyType ?? 'unknown'} of ${bits} bits; RSA of 2048 or more is needed`;
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

function wrongUsage(certificate: X509Certificate): string | undefined {
  if (certificate.ca) return 'the certificate is that of an authority, not of a node';
  // A node is TLS client or server, depending on who dials, so its certificate is always for both.
  const usages: readonly string[] = certificate.keyUsage ?? [];
  if (usages.includes(SERVER_AUTH) && usages.includes(CLIENT_AUTH)) return undefined;
  return 'the certificate is not for both sides of a TLS session';
}

/** Both dates and the local clock: most rejected certificates are due to a wrong clock. */
function circumstances(certificate: X509Certificate): string {
  const subject = certificate.subject.replace(/\s+/g, ' ').slice(0, 100);
  return (
    `subject ${subject || 'empty'}, valid from ${certificate.validFromDate.toISOString()} ` +
    `to ${certificate.validToDate.toISOString()}; the clock here says ${new Date().toISOString()}`
  );
}
