// Waits to be dialled for enrolment, before this node has a certificate. What a parent brings is a bare stream to the
// server; all trust is in the TLS session that runs inside it.
import net from 'node:net';
import type { TLSSocket, TlsOptions } from 'node:tls';
import type { Duplex } from 'node:stream';
import { ENROL_TLS } from '../../certs/tls.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { acceptTls } from '../accept-tls.ts';
import { listenOn } from '../link/connection.ts';
import { ENROL_SERVICE } from '../services.ts';
import { framed, readFrame } from '../tunnel/frame.ts';
import { encodeDenial } from '../tunnel/request.ts';
import { bulkPrefaceCodec, tunnelOpenedCodec } from '../wire.ts';

/** A scanner of ports must not keep the one parent out: the oldest connection goes. */
const MAX_CONNECTIONS = 16;

export interface EnrolmentListener {
  readonly address: string;
  /** The next stream that a parent brings. */
  next(signal: AbortSignal): Promise<Duplex>;
  /** Accepts no more connections and frees the port; accepted ones stay. */
  close(): void;
  stop(): Promise<void>;
}

/** Opens the port. `certificate` is the joining node's fresh self-signed one; only its key matters. */
export async function listenForEnrol(
  listen: string,
  certificate: Required<Pick<TlsOptions, 'key' | 'cert'>>,
): Promise<EnrolmentListener> {
  const arrived: Duplex[] = [];
  const waiting = new Set<(stream: Duplex) => void>();
  /** What to destroy for each socket: its TLS session once there is one, see `acceptTls`. */
  const sockets = new Map<net.Socket, Duplex>();
  const server = net.createServer({ noDelay: true }, (raw) => {
    raw.on('error', () => undefined);
    if (sockets.size >= MAX_CONNECTIONS) sockets.values().next().value?.destroy();
    sockets.set(raw, raw);
    raw.once('close', () => sockets.delete(raw));
    acceptTls(raw, { ...ENROL_TLS, ...certificate })
      .then((session) => {
        if (sockets.has(raw)) sockets.set(raw, session);
        return readPreface(session);
      })
      .then((stream) => {
        const [first] = waiting;
        if (first === undefined) arrived.push(stream);
        else first(stream);
      })
      .catch(() => (sockets.get(raw) ?? raw).destroy());
  });
  const address = await listenOn(server, listen);
  // Of `accept`, as when descriptors run out: it goes on listening.
  server.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    address,
    next: (signal) => nextOf(arrived, waiting, signal),
    close: () => {
      server.close();
    },
    async stop() {
      server.close();
      for (const connection of sockets.values()) connection.destroy();
      await closed;
    },
  };
}

async function readPreface(session: TLSSocket): Promise<Duplex> {
  const preface = bulkPrefaceCodec.decode(await readFrame(session));
  if (preface.open?.service !== ENROL_SERVICE) {
    const error = new IsthmusError('SERVICE_UNKNOWN', 'this node has not joined yet: only enrol may be opened');
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
