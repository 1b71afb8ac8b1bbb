// The API's port under strangers: without a key a connection is one of few, has little time, and ends with its answer.
// With a key it is one of many, of which no key may have them all.
import type { Server } from 'node:net';
import { IsthmusError, type ErrorCode } from '../../../contract/errors.ts';
import { closeWithin } from '../../../lib/async/deadline.ts';
import { DenialLimiter } from '../../../lib/net/denial-limiter.ts';
import { limitPending, type PendingLimits } from '../../../lib/net/pending-connections.ts';
import type { ApiContext, ApiInstance } from '../context.ts';
import { KeyConnections } from './key-connections.ts';
import { ANONYMOUS } from '../route-access.ts';

/** Connections at once, streams included. */
const MAX_CONNECTIONS = 2000;

/** Of one key. What is beyond is treated as strangers are. */
const MAX_CONNECTIONS_PER_KEY = 1000;

/**
 * Connections without a valid key: more than the clients of one office begin at once. Their handshakes together cost
 * less than a second, and the headers of a first request arrive in 5 s on a line of 300 ms that loses 5 %.
 */
const STRANGERS: PendingLimits = { inAll: 512, perNetwork: 128, ms: 5_000 };

/** From the headers of a request without a key to the end of its answer, on a line of 256 kbit/s. */
const ANSWER_WITHIN_MS = 30_000;

/** How long a body is still read once its request was denied: closing at once would take the answer with it. */
const LINGER_MS = 2_000;

/** One denial per minute for an address whose connections give way to newer ones, and for a key that has too many. */
const CROWD_DENIALS = { perSource: 1, inAll: 20, windowMs: 60_000, sources: 1_000 };

/** Adds the limits to the API's server; before the hooks that check keys. */
export function limitConnections(app: ApiInstance, { store, log }: Pick<ApiContext, 'store' | 'log'>): void {
  const server: Server = app.server;
  const denials = new DenialLimiter(CROWD_DENIALS);
  const ofKeys = new KeyConnections(MAX_CONNECTIONS_PER_KEY);
  app.decorateRequest('isSurplus', false);
  const deny = (code: ErrorCode, actor: string, address: string): void => {
    const source = actor === ANONYMOUS ? address : actor;
    if (denials.admit(source) === 'suppressed') return;
    log.warn({ address, actor, code }, 'connections to the API are too many');
    const denial = { actor, type: 'request.denied', subject: 'API port', data: { code, address } } as const;
    store.denials.record(source, denial).catch((err: unknown) => {
      log.error({ err }, 'a denial could not be recorded');
    });
  };
  const onCrowd = ({ code }: IsthmusError, address: string): void => deny(code, ANONYMOUS, address);
  const connectionOf = limitPending(server, STRANGERS, onCrowd);
  server.maxConnections = MAX_CONNECTIONS;

  app.addHook('onRequest', ({ raw }, _reply, done) => {
    connectionOf(raw.socket)?.allow(ANSWER_WITHIN_MS);
    done();
  });
  // Keys are checked before the body is parsed.
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    const { raw, principal, ip } = request;
    if (principal === null) return done();
    if (ofKeys.take(raw.socket, principal.keyId)) {
      connectionOf(raw.socket)?.settle();
      return done();
    }
    request.isSurplus = true;
    deny('RESOURCE_EXHAUSTED', principal.keyId, ip);
    done(new IsthmusError('RESOURCE_EXHAUSTED', 'too many connections are open with this key'));
  });
  app.addHook('onSend', ({ raw, principal, isSurplus }, reply, _payload, done) => {
    if (principal !== null && !isSurplus) return done();
    if (raw.complete) reply.header('connection', 'close');
    else closeWithin(raw.socket, LINGER_MS);
    done();
  });
}
