// The inner session: TLS 1.3 between the two ends of a tunnel, through whatever carries it. The relays in between see
// its records and nothing in them. After the handshake the listening end says in one message whether it lets the other
// in, so that a refusal has a code and no handler runs before it.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { IdentityStore } from '../../certs/identity.ts';
import type { PeerIdentity, Role } from '../../certs/peer.ts';
import type { RevocationList } from '../../certs/revocations.ts';
import { linkClientOptions, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { MeshStream } from '../types.ts';
import { terminateTls } from '../terminate.ts';
import { tunnelOpenedCodec } from '../wire.ts';
import { framed, readFrame } from './frame.ts';
import { decodeRefusal, encodeRefusal } from './request.ts';

export interface InnerTrust {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
}

/** The service is part of the handshake: a relay that redirects a tunnel to another service of the node breaks it. */
function protocolOf(service: string): string {
  return `isthmus-${service}/1`;
}

/** The calling end: proves this node, checks that the other is `node` (or has the role server), waits to be let in. */
export async function callInner(
  carrier: Duplex,
  trust: InnerTrust,
  target: { node: string; service: string },
): Promise<MeshStream> {
  const identity = trust.identity.current();
  const socket = tls.connect({
    ...linkClientOptions(identity),
    socket: carrier,
    ALPNProtocols: [protocolOf(target.service)],
  });
  tie(socket, carrier);
  try {
    await secured(socket, carrier);
    const peer = verifyPeer(socket, identity, trust.revocations, { node: target.node });
    const verdict = tunnelOpenedCodec.decode(await readFrame(socket));
    if (verdict.error) throw decodeRefusal(verdict.error, peer.node);
    return Object.assign(socket, { peer });
  } catch (thrown) {
    socket.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: target.node });
  }
}

/** The listening end: checks who calls, and refuses roles that the service is not for. */
export async function answerInner(
  carrier: Duplex,
  trust: InnerTrust,
  service: { name: string; roles: readonly Role[] },
): Promise<MeshStream> {
  const identity = trust.identity.current();
  const options = { ...linkServerOptions(identity), ALPNProtocols: [protocolOf(service.name)] };
  const socket = await terminateTls(carrier, options);
  tie(socket, carrier);
  try {
    const peer = admit(socket, trust, service);
    // Written out before the stream is handed on: node:http2 takes the socket over, and aborts the process when a write
    // of the old owner is still under way.
    await new Promise((resolve) => socket.write(framed(tunnelOpenedCodec.encode({})), resolve));
    return Object.assign(socket, { peer });
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'UNREACHABLE');
    refuse(socket, error, identity.node);
    throw error;
  }
}

function admit(socket: TLSSocket, trust: InnerTrust, service: { name: string; roles: readonly Role[] }): PeerIdentity {
  const peer = verifyPeer(socket, trust.identity.current(), trust.revocations);
  if (!service.roles.includes(peer.role)) {
    throw new IsthmusError('ROLE_FORBIDDEN', `a ${peer.role} may not open the service ${service.name}`);
  }
  return peer;
}

/** Says why, then closes; the peer may have no certificate, and gets nothing but this. */
function refuse(socket: TLSSocket, error: IsthmusError, self: string): void {
  if (socket.destroyed || socket.getProtocol() !== 'TLSv1.3') {
    socket.destroy();
    return;
  }
  socket.end(framed(tunnelOpenedCodec.encode({ error: encodeRefusal(error, self) })), () => socket.destroy());
  socket.setTimeout(1000, () => socket.destroy());
  socket.resume();
}

/**
 * Neither outlives the other: an inner session without its tunnel would wait for ever, and the reverse would leak. A
 * tunnel that ended whole has given the session its end already, and what the session holds is still to be read.
 */
function tie(socket: TLSSocket, carrier: Duplex): void {
  // Node destroys a TLS session when what carries it closes, also while its reader has decrypted bytes to fetch. So the
  // carrier must not close by itself at its end: it does when the session has ended in turn.
  carrier.allowHalfOpen = true;
  socket.on('error', () => carrier.destroy());
  socket.on('close', () => carrier.destroy());
  carrier.on('error', () => socket.destroy());
  carrier.on('close', () => {
    if (!carrier.readableEnded) socket.destroy();
  });
}

function secured(socket: TLSSocket, carrier: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    if (carrier.destroyed) {
      reject(new IsthmusError('UNREACHABLE', 'the tunnel closed before its two ends had met'));
      return;
    }
    socket.once('secureConnect', () => resolve());
    socket.once('error', (error: Error) =>
      reject(new IsthmusError('INNER_TLS', `the inner session failed: ${error.message}`)),
    );
    socket.once('close', () =>
      reject(new IsthmusError('UNREACHABLE', 'the tunnel closed before its two ends had met')),
    );
  });
}
