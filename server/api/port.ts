// The API's port under strangers: without a key a connection is one of few, has little time, and ends with its answer.
import type { Server } from 'node:net';
import type { IsthmusError } from '../../contract/errors.ts';
import { closeWithin } from '../../lib/async/deadline.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import { limitPending, type PendingLimits } from '../../lib/net/pending-connections.ts';
import type { ApiContext, ApiInstance } from './context.ts';

/** Connections at once, streams included. */
const MAX_CONNECTIONS = 2000;

/**
 * Connections without a valid key: more than the clients of one office begin at once. Their handshakes together cost
 * less than a second, and the headers of a first request arrive in 5 s on a line of 300 ms that loses 5 %.
 */
const STRANGERS: PendingLimits = { inAll: 512, perNetwork: 128, ms: 5_000 };

/** From the headers of a request without a key to the end of its answer, on a line of 256 kbit/s. */
const ANSWER_WITHIN_MS = 30_000;

/** How long a body is still read once its request was denied: closing at once would take the answer with it. */
const LINGER_MS = 2_000;

/** One denial per minute for an address whose connections give way to newer ones. */
const CROWD_DENIALS = { perSource: 1, inAll: 20, windowMs: 60_000, sources: 1_000 };

/** Adds the limits to the API's server; before the hooks that check keys. */
export function limitStrangers(app: ApiInstance, { store, log }: Pick<ApiContext, 'store' | 'log'>): void {
  const server: Server = app.server;
  const denials = new DenialLimiter(CROWD_DENIALS);
  const onCrowd = ({ code }: IsthmusError, address: string): void => {
    if (denials.admit(address) === 'suppressed') return;
    log.warn({ address, code }, 'connections without a key give way to newer ones');
    const denial = {
      actor: 'anonymous',
      type: 'request.denied',
      subject: 'API port',
      data: { code, address },
    } as const;
    store.denials.record(address, denial).catch((err: unknown) => {
      log.error({ err }, 'a denial could not be recorded');
    });
  };
  const connectionOf = limitPending(server, STRANGERS, onCrowd);
  server.maxConnections = MAX_CONNECTIONS;

  app.addHook('onRequest', ({ raw }, _reply, done) => {
    connectionOf(raw.socket)?.allow(ANSWER_WITHIN_MS);
    done();
  });
  // Keys are checked before the body is parsed.
  app.addHook('preParsing', ({ raw, principal }, _reply, _payload, done) => {
    if (principal !== null) connectionOf(raw.socket)?.settle();
    done();
  });
  app.addHook('onSend', ({ raw, principal }, reply, _payload, done) => {
    if (principal === null && raw.complete) reply.header('connection', 'close');
    else if (principal === null) closeWithin(raw.socket, LINGER_MS);
    done();
  });
}
