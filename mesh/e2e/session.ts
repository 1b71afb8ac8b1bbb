// The inner session: TLS 1.3 between the two ends of a tunnel, through whatever carries it. The relays in between see
// its records and nothing in them. After the handshake the listening end says in one message whether it lets the other
// in, so that a denial has a code and no handler runs before it.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { IdentityStore } from '../../certs/identity.ts';
import type { PeerIdentity, Role } from '../../certs/peer.ts';
import type { RevocationList } from '../../certs/revocations.ts';
import { linkClientOptions, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import type { Denials } from '../denials.ts';
import { joiningServices } from '../routing/rules.ts';
import type { MeshStream } from '../types.ts';
import { isWrongTls, acceptTls } from '../accept-tls.ts';
import { tunnelOpenedCodec } from '../wire.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeDenial, encodeDenial } from '../tunnel/request.ts';

/** What a node judges its peers by, and where it notes whom it refused. */
export interface Trust {
  readonly identity: IdentityStore;
  readonly revocations: RevocationList;
  readonly denials: Denials;
}

/** The service is part of the handshake: a relay that redirects a tunnel to another service of the node breaks it. */
function protocolOf(service: string): string {
  return `isthmus-${service}/1`;
}

/**
 * The calling end: proves this node, checks that the other is `node` (or has the role server), waits to be let in. `by`
 * is the neighbour that carries the tunnel.
 */
export async function openSession(
  transport: Duplex,
  trust: Trust,
  target: { node: string; service: string; by: string },
): Promise<MeshStream> {
  const identity = trust.identity.current();
  const socket = tls.connect({
    ...linkClientOptions(identity),
    socket: transport,
    ALPNProtocols: [protocolOf(target.service)],
  });
  tie(socket, transport);
  watchRecords(socket, trust.denials, target);
  try {
    await secured(socket, transport);
    const peer = verifyThere(socket, trust, target);
    const verdict = tunnelOpenedCodec.decode(await readFrame(socket));
    if (verdict.error) throw decodeDenial(verdict.error, peer.node);
    return Object.assign(socket, { peer });
  } catch (thrown) {
    socket.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: target.node });
  }
}

/** The end that was called has to be who was called. */
function verifyThere(socket: TLSSocket, trust: Trust, target: { node: string; service: string; by: string }) {
  try {
    const peer = verifyPeer(socket, trust.identity.current(), trust.revocations, { node: target.node });
    if (peer.provisional) throw unconfirmed(peer);
    return peer;
  } catch (thrown) {
    trust.denials.note(IsthmusError.from(thrown), target.by, target.service);
    throw thrown;
  }
}

/**
 * The listening end: checks who calls, and refuses roles that the service is not for. `by` is the neighbour that
 * brought the tunnel.
 */
export async function acceptSession(
  transport: Duplex,
  trust: Trust,
  service: { name: string; roles: readonly Role[]; by: string },
): Promise<MeshStream> {
  const identity = trust.identity.current();
  const options = linkServerOptions(identity, [protocolOf(service.name)]);
  const socket = await acceptTls(transport, options).catch((thrown: unknown) => {
    trust.denials.note(IsthmusError.from(thrown), service.by, service.name);
    throw thrown;
  });
  tie(socket, transport);
  watchRecords(socket, trust.denials, { service: service.name, by: service.by });
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

function admit(
  socket: TLSSocket,
  trust: Trust,
  service: { name: string; roles: readonly Role[]; by: string },
): PeerIdentity {
  let who = service.by;
  try {
    const peer = verifyPeer(socket, trust.identity.current(), trust.revocations);
    who = peer.node;
    if (peer.provisional && !joiningServices.has(service.name)) throw unconfirmed(peer);
    if (service.roles.includes(peer.role)) return peer;
    throw new IsthmusError('ROLE_FORBIDDEN', `a ${peer.role} may not open the service ${service.name}`);
  } catch (thrown) {
    trust.denials.note(IsthmusError.from(thrown), who, service.name);
    throw thrown;
  }
}

/** Records that are wrong were changed on the way. The end that finds them notes it; the other hears an alert. */
function watchRecords(socket: TLSSocket, denials: Denials, { service, by }: { service: string; by: string }): void {
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!isWrongTls(error)) return;
    denials.note(new IsthmusError('INNER_TLS', `an inner session broke: ${error.message}`), by, service);
  });
}

function unconfirmed({ node }: PeerIdentity): IsthmusError {
  return new IsthmusError('JOIN_UNCONFIRMED', `${node} has enrolled and not confirmed yet`);
}

/** Says why, then closes; the peer may have no certificate, and gets nothing but this. */
function refuse(socket: TLSSocket, error: IsthmusError, self: string): void {
  if (socket.destroyed || socket.getProtocol() !== 'TLSv1.3') {
    socket.destroy();
    return;
  }
  socket.end(framed(tunnelOpenedCodec.encode({ error: encodeDenial(error, self) })), () => socket.destroy());
  socket.setTimeout(1000, () => socket.destroy());
  socket.resume();
}

/**
 * Neither outlives the other: an inner session without its tunnel would wait for ever, and the reverse would leak. A
 * tunnel that ended whole has given the session its end already, and what the session holds is still to be read.
 */
function tie(socket: TLSSocket, transport: Duplex): void {
  // Node destroys a TLS session when what carries it closes, also while its reader has decrypted bytes to fetch. So the
  // transport must not close by itself at its end: it does when the session has ended in turn.
  transport.allowHalfOpen = true;
  socket.on('error', () => transport.destroy());
  socket.on('close', () => transport.destroy());
  transport.on('error', () => socket.destroy());
  transport.on('close', () => {
    if (!transport.readableEnded) socket.destroy();
  });
}

function secured(socket: TLSSocket, transport: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    if (transport.destroyed) {
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
