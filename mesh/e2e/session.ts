// The end-to-end session: TLS 1.3 between the two endpoints of a tunnel, over any transport. The relays in between see
// only its records. After the handshake the opening endpoint says in one message which start of its process it is, and
// the accepting one answers in one whether it may use the service, so that a denial has a code and no handler runs
// before it.
import type { Duplex } from 'node:stream';
import tls, { type TLSSocket } from 'node:tls';
import type { PeerIdentity } from '../../certs/peer.ts';
import { linkClientOptions, linkServerOptions, verifyPeer } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import type { Denials } from '../denials.ts';
import type { ServiceRule } from '../services.ts';
import type { Trust } from '../trust.ts';
import type { MeshStream } from '../types.ts';
import { isWrongTls, acceptTls } from '../accept-tls.ts';
import { decodeStart, encodeStart } from '../starts.ts';
import { sessionHelloCodec, tunnelOpenedCodec } from '../wire.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeDenial, encodeDenial } from '../tunnel/request.ts';

/** Whom an endpoint opens a session with: `by` is the neighbour that carries the tunnel, `via` the other one's. */
interface SessionTarget {
  readonly node: string;
  readonly service: string;
  readonly by: string;
  readonly via?: string | undefined;
  /** Called when the client of HTTP/2 that uses the session ends it for a fault. */
  readonly onFault?: (error: IsthmusError) => void;
}

/**
 * The service that a session is for, with its rule: `by` is the neighbour that brought the tunnel, `via` the one of its
 * source.
 */
interface SessionService extends Pick<ServiceRule, 'openedBy' | 'unconfirmed'> {
  readonly name: string;
  readonly by: string;
  readonly via?: string | undefined;
  /** The source's address, where it is known. */
  readonly address?: string | undefined;
}

/** The service is part of the handshake: it fails when a relay redirects a tunnel to another service of the node. */
function protocolOf(service: string): string {
  return `isthmus-${service}/1`;
}

/**
 * The opening endpoint: proves this node, checks that the other is `node` (or has the role server), awaits admission.
 */
export async function openSession(transport: Duplex, trust: Trust, target: SessionTarget): Promise<MeshStream> {
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
    const peer = verifyAnswering(socket, trust, target);
    const own = peer.role === 'server' ? trust.identity.startFor(peer) : undefined;
    await flushed(socket, sessionHelloCodec.encode({ start: encodeStart(own) }));
    const opened = tunnelOpenedCodec.decode(await readFrame(socket));
    if (opened.error) throw decodeDenial(opened.error, peer.node);
    const start = decodeStart(opened.start, peer.node);
    await trust.starts?.admit({ peer, start, via: target.via ?? target.by, address: undefined });
    const onFault = (error: IsthmusError): void => {
      trust.denials.record(error, peer.node, 'HTTP/2');
      target.onFault?.(error);
    };
    return Object.assign(socket, { peer, start, onFault });
  } catch (thrown) {
    socket.destroy();
    throw IsthmusError.from(thrown, 'UNREACHABLE', { hop: target.node });
  }
}

function verifyAnswering(socket: TLSSocket, trust: Trust, target: SessionTarget): PeerIdentity {
  try {
    const peer = verifyPeer(socket, trust.identity.current(), trust.revocations, { node: target.node });
    if (peer.provisional) throw unconfirmed(peer);
    return peer;
  } catch (thrown) {
    trust.denials.record(IsthmusError.from(thrown), target.by, target.service);
    throw thrown;
  }
}

/** The accepting endpoint: verifies the opening one and denies roles that may not open the service. */
export async function acceptSession(transport: Duplex, trust: Trust, service: SessionService): Promise<MeshStream> {
  const identity = trust.identity.current();
  const options = linkServerOptions(identity, [protocolOf(service.name)]);
  const socket = await acceptTls(transport, options).catch((thrown: unknown) => {
    trust.denials.record(IsthmusError.from(thrown), service.by, service.name);
    throw thrown;
  });
  tie(socket, transport);
  watchRecords(socket, trust.denials, { service: service.name, by: service.by });
  try {
    const peer = admit(socket, trust, service);
    const start = decodeStart(sessionHelloCodec.decode(await readFrame(socket)).start, peer.node);
    await trust.starts?.admit({ peer, start, via: service.via ?? service.by, address: service.address });
    const own = peer.role === 'server' ? trust.identity.startFor(peer) : undefined;
    await flushed(socket, tunnelOpenedCodec.encode({ start: encodeStart(own) }));
    return Object.assign(socket, { peer, start });
  } catch (thrown) {
    const error = IsthmusError.from(thrown, 'UNREACHABLE');
    deny(socket, error, identity.node);
    throw error;
  }
}

/**
 * Flushed before the stream is handed on: node:http2 takes the socket over, and aborts the process when a write of the
 * previous owner is pending.
 */
function flushed(socket: TLSSocket, message: Uint8Array): Promise<void> {
  return new Promise((resolve) => socket.write(framed(message), () => resolve()));
}

function admit(socket: TLSSocket, trust: Trust, service: SessionService): PeerIdentity {
  let requester = service.by;
  try {
    const peer = verifyPeer(socket, trust.identity.current(), trust.revocations);
    requester = peer.node;
    if (peer.provisional && service.unconfirmed !== true) throw unconfirmed(peer);
    if (service.openedBy.includes(peer.role)) return peer;
    throw new IsthmusError('ROLE_FORBIDDEN', `a ${peer.role} may not open the service ${service.name}`);
  } catch (thrown) {
    trust.denials.record(IsthmusError.from(thrown), requester, service.name);
    throw thrown;
  }
}

/** Wrong records were changed in transit. The endpoint that finds them records it; the other gets an alert. */
function watchRecords(socket: TLSSocket, denials: Denials, { service, by }: { service: string; by: string }): void {
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!isWrongTls(error)) return;
    denials.record(new IsthmusError('E2E_TLS', `an end-to-end session broke: ${error.message}`), by, service);
  });
}

function unconfirmed({ node }: PeerIdentity): IsthmusError {
  return new IsthmusError('JOIN_UNCONFIRMED', `${node} has enrolled and not confirmed yet`);
}

/** Sends the reason, then closes. The peer may have no certificate and gets nothing else. */
function deny(socket: TLSSocket, error: IsthmusError, self: string): void {
  if (socket.destroyed || socket.getProtocol() !== 'TLSv1.3') {
    socket.destroy();
    return;
  }
  socket.end(framed(tunnelOpenedCodec.encode({ error: encodeDenial(error, self) })), () => socket.destroy());
  socket.setTimeout(1000, () => socket.destroy());
  socket.resume();
}

/**
 * Ties the lives of both together: a session without its tunnel would wait for ever, and the reverse would leak. A
 * tunnel that ended whole has ended the session already, and the session's buffer is still to be read.
 */
function tie(socket: TLSSocket, transport: Duplex): void {
  // Node destroys a TLS session when its transport closes, even with decrypted bytes left to read. So the transport
  // must not close at its own end, but when the session has ended in turn.
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
      reject(new IsthmusError('UNREACHABLE', 'the tunnel closed during the end-to-end handshake'));
      return;
    }
    socket.once('secureConnect', () => resolve());
    socket.once('error', (error: Error) =>
      reject(new IsthmusError('E2E_TLS', `the end-to-end handshake failed: ${error.message}`)),
    );
    socket.once('close', () =>
      reject(new IsthmusError('UNREACHABLE', 'the tunnel closed during the end-to-end handshake')),
    );
  });
}
