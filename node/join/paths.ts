// The paths by which a joining node reaches the server: through each parent that it dials, or through the first parent
// that dials it. Each ends in a TLS session with the server, checked against the pin.
import net from 'node:net';
import type { Duplex } from 'node:stream';
import {
  checkAddress,
  checkProxy,
  checkTcp,
  type CheckResult,
  type ProxyEnv,
} from '../../certs/enrolment/preflight.ts';
import {
  selfSigned,
  sessionByDialling,
  sessionByListening,
  type PinnedSession,
} from '../../certs/enrolment/session.ts';
import { verifyCertificate } from '../../certs/verify.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { pause } from '../../lib/async/waiting.ts';
import { requireHostPort } from '../../lib/net/host-port.ts';
import { listenForEnrol, type EnrolmentListener } from '../../mesh/enrolment/inbound.ts';
import { openEnrol } from '../../mesh/enrolment/outbound.ts';
import { listenOn, type Connection } from '../../mesh/link/connection.ts';

/** For opening one path to the server, through every relay. */
const OPEN_TIMEOUT_MS = 20_000;
/** The longest life of a token. */
const DEFAULT_WAIT_MS = 3_600_000;

export interface PathOptions {
  /** host:port of this node's port. */
  readonly listen?: string | undefined;
  readonly pin: string;
  readonly proxies?: ProxyEnv | undefined;
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly report: (result: CheckResult) => void;
}

export interface ServerPaths {
  /** Opens each path, in order; rejects when one fails. */
  open(): Promise<[PinnedSession, ...PinnedSession[]]>;
  /** The address of each node that answered, once open. */
  readonly found: ReadonlyMap<string, string>;
  /** Frees the port for the mesh; the sessions stay. */
  stopListening(): void;
  close(): Promise<void>;
}

/** Dials a parent at each address. */
export class OutboundPaths implements ServerPaths {
  readonly found = new Map<string, string>();
  readonly #addresses: readonly [string, ...string[]];
  readonly #options: PathOptions;
  readonly #connections: Connection[] = [];

  constructor(addresses: readonly [string, ...string[]], options: PathOptions) {
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
    // Nothing listens.
  }

  close(): Promise<void> {
    for (const { tls } of this.#connections) tls.destroy();
    return Promise.resolve();
  }

  async #through(address: string): Promise<PinnedSession> {
    const { pin, signal } = this.#options;
    const limit = AbortSignal.any([AbortSignal.timeout(OPEN_TIMEOUT_MS), ...(signal === undefined ? [] : [signal])]);
    const route = { destination: 'server', source: 'joining', deadlineMs: OPEN_TIMEOUT_MS, signal: limit };
    const connection = await openEnrol(address, route).catch((thrown: unknown) => {
      const error = IsthmusError.from(thrown, 'UNREACHABLE');
      // A denial names its hop; without one, no node of the mesh answers at the address.
      if (error.hop !== undefined || error.code !== 'UNREACHABLE') throw error;
      throw notANode(address, error);
    });
    this.#connections.push(connection);
    const session = await sessionByDialling(connection.tls, pin);
    this.found.set(nodeAt(address, connection, session), address);
    return session;
  }
}

/** What listens at an address instead of a node, by OpenSSL's error code. */
const OTHER_LISTENERS: readonly (readonly [opensslCode: RegExp, what: string])[] = [
  [/NO_APPLICATION_PROTOCOL/, 'the port speaks TLS, but is not a port of the mesh'],
  [/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/, 'the port does not speak TLS'],
];

function notANode(address: string, error: IsthmusError): IsthmusError {
  const [, what] = OTHER_LISTENERS.find(([opensslCode]) => opensslCode.test(error.message)) ?? [];
  return new IsthmusError('JOIN_TLS', what === undefined ? error.message : `${what} (${error.message})`, {
    hop: address,
    cause: error,
    ...(what === undefined ? {} : { remedy: 'Give the port of the mesh; the API has another one.' }),
  });
}

/** Opens and closes the node's port, to find what is wrong with it before the token is shown to anybody. */
async function checkPort(listen: string): Promise<CheckResult> {
  const server = net.createServer((socket) => socket.destroy());
  const address = await listenOn(server, listen);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return { check: 'port', outcome: 'ok', detail: `${address} is free` };
}

/**
 * The node at an address, by the certificate that it showed; the session inside has proven the authority to check it
 * by.
 */
function nodeAt(address: string, { tls }: Connection, { server, authorityPem }: PinnedSession): string {
  const leaf = tls.getPeerX509Certificate();
  if (leaf === undefined) throw new IsthmusError('JOIN_TLS', `${address} shows no certificate`, { hop: address });
  const trust = { meshId: server.meshId, authorityPem };
  // The clocks are compared first, as with the server's certificate; the link that follows checks the dates.
  const nowMs = leaf.validToDate.getTime();
  return verifyCertificate(leaf, trust, { expected: { roles: ['server', 'relay'] }, nowMs }).node;
}

/** Waits for a parent that brings a stream to the server. */
export class InboundPath implements ServerPaths {
  readonly found: ReadonlyMap<string, string> = new Map();
  readonly #listen: string;
  readonly #options: PathOptions;
  #listener: EnrolmentListener | undefined;

  constructor(listen: string, options: PathOptions) {
    this.#listen = listen;
    this.#options = options;
  }

  async open(): Promise<[PinnedSession]> {
    const { pin, waitMs = DEFAULT_WAIT_MS, signal, report } = this.#options;
    const credentials = await selfSigned();
    const listener = await listenForEnrol(this.#listen, credentials);
    this.#listener = listener;
    const detail = `waiting up to ${waitMs / 1000} s to be dialled at ${listener.address}: the parent dials the address in the token`;
    report({ check: 'tcp', outcome: 'ok', detail });
    const limit = AbortSignal.timeout(waitMs);
    const end = AbortSignal.any([limit, ...(signal === undefined ? [] : [signal])]);
    for (;;) {
      const bare: Duplex = await this.#next(listener, end).catch((thrown: unknown) => {
        if (signal?.aborted === true || !limit.aborted) throw thrown;
        throw new IsthmusError('JOIN_NOT_DIALLED', `no parent dialled ${listener.address} within ${waitMs / 1000} s`);
      });
      try {
        return [await sessionByListening(bare, pin, credentials)];
      } catch (thrown) {
        // A port scanner gets this far; a peer with another authority ends the join.
        if (IsthmusError.from(thrown).code !== 'JOIN_TLS') throw thrown;
      }
    }
  }

  /** The next stream; until it comes, the operator learns that nobody has dialled. */
  async #next(listener: EnrolmentListener, end: AbortSignal): Promise<Duplex> {
    const { report } = this.#options;
    const next = listener.next(end);
    const ended = new AbortController();
    const arrived = next.then(() => true).finally(() => ended.abort());
    for (let minutes = 1; !(await Promise.race([arrived, aMinute(ended.signal)])); minutes += 1) {
      if (ended.signal.aborted) break;
      report({ check: 'tcp', outcome: 'warning', detail: notDialled(listener.address, minutes) });
    }
    return next;
  }

  stopListening(): void {
    this.#listener?.close();
  }

  async close(): Promise<void> {
    await this.#listener?.stop();
    this.#listener = undefined;
  }
}

/** False after a minute, or at the end of waiting. */
async function aMinute(signal: AbortSignal): Promise<false> {
  await pause(60_000, signal);
  return false;
}

function notDialled(address: string, minutes: number): string {
  return `nobody has dialled ${address} for ${minutes} min: is the address in the token the one at which the parent reaches it?`;
}
