// The ways by which a joining node reaches the server: through each parent that it dials, or through the first parent
// that dials it. Every way ends in a TLS session with the server, checked against the pin.
import net from 'node:net';
import type { Duplex } from 'node:stream';
import {
  checkAddress,
  checkProxy,
  checkTcp,
  type CheckResult,
  type ProxyEnvironment,
} from '../../certs/enrolment/preflight.ts';
import {
  selfSigned,
  sessionByDialling,
  sessionByListening,
  type PinnedSession,
} from '../../certs/enrolment/session.ts';
import { verifyCertificate } from '../../certs/verify.ts';
import { IsthmusError } from '../../lib/errors.ts';
import { requireHostPort } from '../../lib/net/host-port.ts';
import { listenOn, type Connection } from '../link/socket.ts';
import { listenForEnrol, openEnrol, type EnrolListener } from './peer.ts';

/** For one way to the server and back, through every relay. */
const openMs = 20_000;
/** As long as a token can last. */
const defaultWaitMs = 3_600_000;

export interface WayOptions {
  /** Where this node's own port will be, host:port. */
  readonly listen?: string | undefined;
  readonly pin: string;
  readonly proxies?: ProxyEnvironment | undefined;
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly report: (result: CheckResult) => void;
}

export interface WaysIn {
  /** Each way, in order; rejects when one cannot be gone. */
  open(): Promise<[PinnedSession, ...PinnedSession[]]>;
  /** The addresses by the nodes that answer there, once open. */
  readonly found: ReadonlyMap<string, string>;
  /** Makes room for the mesh's own port; the sessions stay. */
  stopListening(): void;
  close(): Promise<void>;
}

/** Dials a parent at each of the addresses. */
export class DiallingWays implements WaysIn {
  readonly found = new Map<string, string>();
  readonly #addresses: readonly [string, ...string[]];
  readonly #options: WayOptions;
  readonly #connections: Connection[] = [];

  constructor(addresses: readonly [string, ...string[]], options: WayOptions) {
    this.#addresses = addresses;
    this.#options = options;
  }

  async open(): Promise<[PinnedSession, ...PinnedSession[]]> {
    const { listen, proxies = {}, report } = this.#options;
    if (listen !== undefined) report(await checkPort(listen));
    for (const address of this.#addresses) {
      const target = { ...requireHostPort(address), hop: address };
      report(await checkAddress(target));
      report(await checkTcp(target, proxies));
      report(checkProxy(target.host, proxies));
    }
    const [first, ...others] = this.#addresses;
    const sessions: [PinnedSession, ...PinnedSession[]] = [await this.#through(first)];
    for (const address of others) sessions.push(await this.#through(address));
    return sessions;
  }

  stopListening(): void {
    // It never listened.
  }

  close(): Promise<void> {
    for (const { tls } of this.#connections) tls.destroy();
    return Promise.resolve();
  }

  async #through(address: string): Promise<PinnedSession> {
    const { pin, signal } = this.#options;
    const limit = AbortSignal.any([AbortSignal.timeout(openMs), ...(signal === undefined ? [] : [signal])]);
    const route = { destination: 'server', source: 'joining', deadlineMs: openMs, signal: limit };
    const connection = await openEnrol(address, route).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      // A refusal names its hop; without one, what answers at the address is not a node of the mesh.
      if (error.hop !== undefined || error.code !== 'UNREACHABLE') throw error;
      throw notOfTheMesh(address, error);
    });
    this.#connections.push(connection);
    const session = await sessionByDialling(connection.tls, pin);
    this.found.set(nodeAt(address, connection, session), address);
    return session;
  }
}

/** What OpenSSL says of an end that is something else, by the code that Node.js makes of it. */
const otherEnds: readonly (readonly [opensslCode: RegExp, what: string])[] = [
  [/NO_APPLICATION_PROTOCOL/, 'what listens there is no port of the mesh, though it speaks TLS'],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/, 'what listens there does not speak TLS'],
];

function notOfTheMesh(address: string, error: IsthmusError): IsthmusError {
  const [, what] = otherEnds.find(([opensslCode]) => opensslCode.test(error.message)) ?? [];
  return new IsthmusError('JOIN_TLS', what === undefined ? error.message : `${what} (${error.message})`, {
    hop: address,
    cause: error,
    ...(what === undefined ? {} : { remedy: 'Give the port of the mesh, which is another than that of the API.' }),
  });
}

/**
 * Opens and closes the port that the node will have: what is wrong is to be found before the token is shown to anybody.
 */
async function checkPort(listen: string): Promise<CheckResult> {
  const server = net.createServer((socket) => socket.destroy());
  const address = await listenOn(server, listen);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { check: 'port', outcome: 'ok', detail: `${address} is free` };
}

/**
 * Who answers at an address, by the certificate it showed there: the session inside has shown what to check it against.
 */
function nodeAt(address: string, { tls }: Connection, { server, authorityPem }: PinnedSession): string {
  const leaf = tls.getPeerX509Certificate();
  if (leaf === undefined) throw new IsthmusError('JOIN_TLS', `${address} shows no certificate`, { hop: address });
  const trust = { meshId: server.meshId, authorityPem };
  // As with the server's, the clocks come first; the link that follows looks at the dates.
  const nowMs = leaf.validToDate.getTime();
  return verifyCertificate(leaf, trust, { expected: { roles: ['server', 'relay'] }, nowMs }).node;
}

/** Waits for a parent to bring the server's stream. */
export class DialledWay implements WaysIn {
  readonly found: ReadonlyMap<string, string> = new Map();
  readonly #listen: string;
  readonly #options: WayOptions;
  #listener: EnrolListener | undefined;

  constructor(listen: string, options: WayOptions) {
    this.#listen = listen;
    this.#options = options;
  }

  async open(): Promise<[PinnedSession]> {
    const { pin, waitMs = defaultWaitMs, signal, report } = this.#options;
    const credentials = await selfSigned();
    const listener = await listenForEnrol(this.#listen, credentials);
    this.#listener = listener;
    const detail = `waiting to be dialled at ${listener.address}, for ${waitMs / 1000} s at most: its parent tries the address that its token was made with`;
    report({ check: 'tcp', outcome: 'ok', detail });
    const limit = AbortSignal.timeout(waitMs);
    const end = AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]);
    for (;;) {
      const bare: Duplex = await listener.next(end).catch((thrown: unknown) => {
        if (signal?.aborted === true || !limit.aborted) throw thrown;
        throw new IsthmusError('JOIN_NOT_DIALLED', `no parent dialled ${listener.address} within ${waitMs / 1000} s`);
      });
      try {
        return [await sessionByListening(bare, pin, credentials)];
      } catch (thrown) {
        // A scanner of ports gets this far; somebody with another authority is worth stopping for.
        if (IsthmusError.from(thrown).code !== 'JOIN_TLS') throw thrown;
      }
    }
  }

  stopListening(): void {
    this.#listener?.close();
  }

  async close(): Promise<void> {
    await this.#listener?.stop();
    this.#listener = undefined;
  }
}
