// The ways by which a joining node reaches the server: through each parent that it dials, or through the first parent that
// dials it. Every way ends in a TLS session with the server, checked against the pin.
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
import { parseAddress, type Connection } from '../link/socket.ts';
import { listenForEnrol, openEnrol, type EnrolListener } from './peer.ts';

/** For one way to the server and back, through every relay. */
const openMs = 20_000;
/** As long as a token can last. */
const defaultWaitMs = 3_600_000;

export interface WayOptions {
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
    const { proxies = {}, report } = this.#options;
    for (const address of this.#addresses) {
      const { host, port } = parseAddress(address);
      report(await checkAddress(host));
      report(await checkTcp(host, port, proxies));
      report(checkProxy(host, proxies));
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
      throw new IsthmusError('JOIN_TLS', error.message, { hop: address, cause: error });
    });
    this.#connections.push(connection);
    const session = await sessionByDialling(connection.tls, pin);
    this.found.set(nodeAt(address, connection, session), address);
    return session;
  }
}

/** Who answers at an address, by the certificate it showed there: the session inside has shown what to check it against. */
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
    report({ check: 'tcp', outcome: 'ok', detail: `waiting to be dialled at ${listener.address}` });
    const limit = AbortSignal.any([AbortSignal.timeout(waitMs), ...(signal === undefined ? [] : [signal])]);
    for (;;) {
      const bare: Duplex = await listener.next(limit);
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
