// The connection to the server's API: TLS under the given authority and no other. A certificate of the mesh is checked
// for the server role in its URI, because the mesh names nodes and not hosts; any other certificate (the operator's, a
// proxy's) is checked for the host name. Nothing is sent before both checks (Node's fetch offers no such hook).
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Duplex } from 'node:stream';
import { checkServerIdentity, connect, type TLSSocket } from 'node:tls';
import { IsthmusError } from '../../contract/errors.ts';
import { closeWithin } from '../../lib/async/deadline.ts';
import { hostOf } from '../../lib/net/host-port.ts';
import { isLoopback } from '../../lib/net/network-address.ts';

const HANDSHAKE_LIMIT_MS = 10_000;

const CLOCK_REASONS: readonly string[] = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/** Why this peer is not the server of the mesh, or undefined when it is. */
function denial(socket: TLSSocket, url: URL): IsthmusError | undefined {
  const { host: server } = url;
  // Documented as an Error; OpenSSL's verdict is in fact its code, as a string.
  const verdict: unknown = socket.authorizationError;
  const reason = typeof verdict === 'string' ? verdict : ((verdict as NodeJS.ErrnoException | null)?.code ?? '');
  const certificate = socket.getPeerCertificate();
  if (CLOCK_REASONS.includes(reason)) {
    const validity = `valid from ${certificate.valid_from} to ${certificate.valid_to}`;
    const now = `it is ${new Date().toUTCString()} here`;
    return new IsthmusError('SERVER_CLOCK_SKEW', `the certificate of ${server} is ${validity}, and ${now}`);
  }
  if (!socket.authorized) {
    return new IsthmusError('SERVER_WRONG_AUTHORITY', `${server} is not of this mesh (${reason || 'not verified'})`);
  }
  const names = certificate.subjectaltname ?? '';
  if (!/URI:"?isthmus:/.test(names)) {
    const mismatch = checkServerIdentity(hostOf(url), certificate);
    if (mismatch === undefined) return undefined;
    return new IsthmusError('SERVER_WRONG_AUTHORITY', `${server} is known by another name: ${mismatch.message}`);
  }
  if (!/(^|, )URI:isthmus:\/\/[^/,]+\/server\/[^/,]+(,|$)/.test(names)) {
    return new IsthmusError('SERVER_WRONG_AUTHORITY', `${server} holds a certificate of this mesh, but not a server's`);
  }
  return undefined;
}

/**
 * Node honours the server's keep-alive timeout only for an agent that has a timeout itself. Without it a request may go
 * out on a connection that the server is closing, and is lost.
 */
const AGENT_OPTIONS = { keepAlive: true, maxSockets: 8, timeout: 120_000 };

class VerifyingAgent extends HttpsAgent {
  readonly #server: URL;
  readonly #authorityPem: string;

  constructor(server: URL, authorityPem: string) {
    super(AGENT_OPTIONS);
    this.#server = server;
    this.#authorityPem = authorityPem;
  }

  override createConnection(_options: object, done?: (error: Error | null, stream: Duplex) => void): undefined {
    const server = this.#server;
    const host = hostOf(server);
    const socket = connect({
      host,
      port: Number(server.port || 443),
      ca: this.#authorityPem,
      minVersion: 'TLSv1.3',
      // Verified in denial(), which tells a wrong clock from a wrong server.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    let settled = false;
    const settle = (error: Error | null): void => {
      if (settled) return;
      settled = true;
      if (error !== null) socket.destroy();
      done?.(error, socket);
    };
    closeWithin(socket, HANDSHAKE_LIMIT_MS, () => settle(unreachable(server, 'no TLS handshake within 10 s')));
    socket.once('secureConnect', () => settle(denial(socket, server) ?? null));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(connectionError(server, error)));
    socket.once('close', () => settle(unreachable(server, 'it closed the connection')));
    return undefined;
  }
}

function unreachable(server: URL, why: string, cause?: unknown): IsthmusError {
  return new IsthmusError('SERVER_UNREACHABLE', `cannot reach ${server.origin}: ${why}`, { cause });
}

/** Gives an error of the operating system or of TLS its code. */
export function connectionError(server: URL, error: NodeJS.ErrnoException): IsthmusError {
  if (error instanceof IsthmusError) return error;
  const what: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there; is the server started (`isthmus server start`)?',
    ENOTFOUND: 'the name does not resolve',
    EAI_AGAIN: 'the name does not resolve at the moment',
    ETIMEDOUT: 'no answer',
    EHOSTUNREACH: 'no route to the host',
    ENETUNREACH: 'no route to the network',
    ECONNRESET: 'the connection was cut',
  };
  const code = error.code ?? '';
  return unreachable(
    server,
    what[code] ?? (code.startsWith('ERR_SSL') ? 'it does not speak TLS 1.3' : error.message),
    error,
  );
}

/** The agent for a server address: verified TLS, or plain HTTP to loopback only. */
export function agentFor(server: URL, authorityPem: string | undefined): HttpAgent {
  if (server.protocol === 'http:') {
    if (!isLoopback(hostOf(server))) {
      throw new IsthmusError(
        'USAGE',
        `${server.origin}: an API key is sent without TLS to this machine only; use https`,
      );
    }
    return new HttpAgent(AGENT_OPTIONS);
  }
  if (authorityPem === undefined) {
    throw new IsthmusError('USAGE', 'the certificate of the authority is needed (--ca FILE or ISTHMUS_CA_FILE)');
  }
  return new VerifyingAgent(server, authorityPem);
}
