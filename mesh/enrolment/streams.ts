// Enrolment as the node without a certificate sees it, before any mesh runs there: it dials a node of the mesh, or
// waits to be dialled by its parent. Either way it gets a plain stream to the server; all trust is in the TLS session
// that it runs inside, checked against the pin.
import net from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { Duplex } from 'node:stream';
import { alpn } from '../../certs/tls.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { connectTo, listenOn, type Connection } from '../link/connection.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { decodeDenial, encodeDenial, encodeRequest, newTunnelId, type TunnelRequest } from '../tunnel/request.ts';
import { acceptTls } from '../accept-tls.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';

export interface EnrolmentTarget {
  /** The server's end, or a node that waits to be dialled. */
  readonly destination: string;
  readonly source: string;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Opens `enrol` through the node at `address`. */
export async function openEnrol(address: string, route: EnrolmentTarget): Promise<Connection> {
  const connection = await connectTo(address, alpn.enrol, undefined, route.signal);
  const abort = () => connection.tls.destroy();
  route.signal.addEventListener('abort', abort, { once: true });
  try {
    const request: TunnelRequest = {
      source: route.source,
      destination: route.destination,
      path: [],
      crossed: [],
      service: 'enrol',
      serviceClass: 'control',
      deadlineMs: route.deadlineMs,
    };
    const preface = { sessionId: Buffer.alloc(0), open: encodeRequest(newTunnelId(), request) };
    connection.tls.write(framed(bulkPrefaceCodec.encode(preface)));
    const opened = tunnelOpenedCodec.decode(await readFrame(connection.tls));
    if (opened.error) throw decodeDenial(opened.error, route.destination);
    return connection;
  } catch (thrown) {
    connection.tls.destroy();
    if (route.signal.aborted) throw IsthmusError.from(route.signal.reason, 'CANCELLED');
    throw IsthmusError.from(thrown, 'UNREACHABLE');
  } finally {
    route.signal.removeEventListener('abort', abort);
  }
}

export interface EnrolmentListener {
  readonly address: string;
  /** The stream that a parent carried here. Each call waits for the next one. */
  next(signal: AbortSignal): Promise<Duplex>;
  /** Takes no more connections and frees the port; those that are there stay. */
  close(): void;
  stop(): Promise<void>;
}

/** Waits to be dialled. `certificate` is the fresh self-signed one of the joining node: only its key matters. */
export async function listenForEnrol(
  listen: string,
  certificate: Required<Pick<TlsOptions, 'key' | 'cert'>>,
): Promise<EnrolmentListener> {
  const arrived: Duplex[] = [];
  const waiting = new Set<(stream: Duplex) => void>();
  /**
   * Each connection by its socket: the TLS session once there is one. What owns a handle closes it, see `acceptTls`.
   */
  const sockets = new Map<net.Socket, Duplex>();
  const server = net.createServer({ noDelay: true }, (raw) => {
    raw.on('error', () => undefined);
    // One parent dials; a scanner of ports must not keep it out.
    if (sockets.size >= 16) sockets.values().next().value?.destroy();
    sockets.set(raw, raw);
    raw.once('close', () => sockets.delete(raw));
    acceptTls(raw, { ...certificate, minVersion: 'TLSv1.3', ALPNProtocols: [alpn.enrol] })
      .then((session) => {
        if (sockets.has(raw)) sockets.set(raw, session);
        return welcome(session);
      })
      .then((stream) => {
        const [first] = waiting;
        if (first === undefined) arrived.push(stream);
        else first(stream);
      })
      .catch(() => (sockets.get(raw) ?? raw).destroy());
  });
  const address = await listenOn(server, listen);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    address,
    next: (signal) => nextOf(arrived, waiting, signal),
    close: () => void server.close(),
    async stop() {
      server.close();
      for (const connection of sockets.values()) connection.destroy();
      await closed;
    },
  };
}

async function welcome(session: TLSSocket): Promise<Duplex> {
  const preface = bulkPrefaceCodec.decode(await readFrame(session));
  if (preface.open?.service !== 'enrol') {
    const error = new IsthmusError('SERVICE_UNKNOWN', 'this node has not joined yet: only enrol is open');
    session.end(framed(tunnelOpenedCodec.encode({ error: encodeDenial(error, 'joining') })));
    throw error;
  }
  session.write(framed(tunnelOpenedCodec.encode({})));
  return session;
}

function nextOf(arrived: Duplex[], waiting: Set<(stream: Duplex) => void>, signal: AbortSignal): Promise<Duplex> {
  for (let stream = arrived.shift(); stream !== undefined; stream = arrived.shift()) {
    if (!stream.destroyed) return Promise.resolve(stream);
  }
  return new Promise((resolve, reject) => {
    const stop = () => {
      waiting.delete(take);
      signal.removeEventListener('abort', onAbort);
    };
    const take = (stream: Duplex) => {
      stop();
      resolve(stream);
    };
    const onAbort = () => {
      stop();
      reject(IsthmusError.from(signal.reason, 'CANCELLED'));
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    waiting.add(take);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
