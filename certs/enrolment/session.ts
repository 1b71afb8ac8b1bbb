// The TLS session of an enrolment. The joining node trusts only the pin, wherever the stream comes from.
import { createHash, createPrivateKey, type X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';
import { DAY_MS } from '../../lib/time.ts';
import { buildCertificate } from '../certificate.ts';
import { BACKDATE_MS, generateKey, readPublicKey } from '../keys.ts';
import { readIdentity, type PeerIdentity } from '../peer.ts';
import { ENROL_TLS } from '../tls.ts';
import { verifyCertificate } from '../verify.ts';
import { stopAfter } from '../../lib/async/deadline.ts';

const HANDSHAKE_MS = 15_000;

export interface PinnedSession {
  readonly socket: TLSSocket;
  /** The server node at the other endpoint. */
  readonly server: PeerIdentity;
  readonly certificate: X509Certificate;
  readonly authorityPem: string;
}

/** For a node that dialled: it is the TLS client. CA_FINGERPRINT when the peer shows no chain to the pin. */
export function sessionByDialling(bare: Duplex, pin: string): Promise<PinnedSession> {
  return pinned(bare, pin, async () => {
    const socket = tls.connect({
      ...ENROL_TLS,
      socket: bare,
      checkServerIdentity: () => undefined,
    });
    await settled(socket, 'secureConnect');
    return socket;
  });
}

/** A key and certificate for `sessionByListening`, for one enrolment. */
export async function selfSigned(): Promise<{ key: string; cert: string }> {
  const { keyPem, spkiDer } = await generateKey();
  const nowMs = Date.now();
  const cert = await buildCertificate({
    subject: 'joining',
    publicKey: readPublicKey(spkiDer),
    serialNumber: '01',
    notBeforeMs: nowMs - BACKDATE_MS,
    notAfterMs: nowMs + DAY_MS,
    extensions: [],
    issuer: { subject: 'joining', key: createPrivateKey(keyPem) },
  });
  return { key: keyPem, cert };
}

/** For a node that was dialled: it is the TLS server, with a key that the peer need not trust. */
export function sessionByListening(
  bare: Duplex,
  pin: string,
  credentials: { readonly key: string; readonly cert: string },
): Promise<PinnedSession> {
  return pinned(bare, pin, async () => {
    const server = tls.createServer({
      ...ENROL_TLS,
      ...credentials,
      requestCert: true,
    });
    const secured = new Promise<TLSSocket>((resolve, reject) => {
      server.once('secureConnection', resolve);
      server.once('tlsClientError', reject);
      bare.once('close', () => reject(new Error('the stream closed during the handshake')));
    });
    server.emit('connection', bare);
    return secured;
  });
}

async function pinned(bare: Duplex, pin: string, handshake: () => Promise<TLSSocket>): Promise<PinnedSession> {
  bare.on('error', () => undefined);
  let socket: TLSSocket | undefined;
  try {
    socket = await stopAfter(HANDSHAKE_MS, () => bare.destroy(), handshake);
    socket.on('error', () => undefined);
    socket.once('close', () => bare.destroy());
    const session = socket;
    bare.once('close', () => session.destroy());
    return { socket, ...verifyChain(socket, pin) };
  } catch (thrown) {
    if (socket === undefined) bare.destroy();
    else socket.destroy();
    throw IsthmusError.from(thrown, 'JOIN_TLS');
  }
}

/** The peer must be a server node with a certificate from the pinned authority, and must send the authority's, too. */
function verifyChain(socket: TLSSocket, pin: string): Omit<PinnedSession, 'socket'> {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) throw new IsthmusError('CA_FINGERPRINT', 'the peer sent no certificate');
  const shown = chainOf(leaf);
  const authority = shown.find((certificate) => fingerprint(certificate) === pin.toLowerCase());
  if (authority === undefined) {
    const seen = fingerprint(shown.at(-1) ?? leaf);
    throw new IsthmusError('CA_FINGERPRINT', `expected an authority with fingerprint ${pin}, got ${seen}`);
  }
  const authorityPem = authority.toString();
  const meshId = readIdentity(leaf)?.meshId ?? '';
  try {
    const expected = { node: 'server' };
    // The dates are checked later, after the clocks are compared: a wrong clock would make them look wrong.
    const nowMs = leaf.validToDate.getTime();
    const server = verifyCertificate(leaf, { meshId, authorityPem }, { expected, nowMs });
    return { server, certificate: leaf, authorityPem };
  } catch (thrown) {
    const error = IsthmusError.from(thrown);
    // Anyone can send the authority's certificate; the chain is only pinned when that authority issued the leaf.
    if (error.code !== 'PEER_CERTIFICATE_UNTRUSTED') throw error;
    throw new IsthmusError('CA_FINGERPRINT', `the certificate chain does not lead to the pin: ${error.message}`);
  }
}

function chainOf(leaf: X509Certificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let at: X509Certificate | undefined = leaf;
  // A self-signed certificate is its own issuer.
  while (at !== undefined && chain.length < 4 && !chain.some((seen) => at?.raw.equals(seen.raw))) {
    chain.push(at);
    at = at.issuerCertificate;
  }
  return chain;
}

function fingerprint(certificate: X509Certificate): string {
  return createHash('sha256').update(certificate.raw).digest('hex');
}

async function settled(socket: TLSSocket, event: 'secureConnect'): Promise<void> {
  const closed = once(socket, 'close').then(() => {
    throw new IsthmusError('JOIN_TLS', 'the peer closed the session during the handshake');
  });
  await Promise.race([once(socket, event), closed]);
}
