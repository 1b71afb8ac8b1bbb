// Who may do what: deny by default. A route without an access rule stops the start-up (I10); a request without a good key, or
// with a key of too low a role, is refused before its body is read, and leaves one denial.
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import { authenticate, covers, type Principal } from '../access/api-keys.ts';
import type { ApiContext } from './context.ts';

/** Refused keys that one address may present per minute: a typo in a script's loop stays below, guessing does not. */
const FAILURES_PER_MINUTE = 30;

/** The actor of a request without a good key. */
const ANONYMOUS = 'anonymous';

/** Addresses remembered; the least recent is forgotten first. */
const ADDRESSES_REMEMBERED = 10_000;

/** Puts authentication and authorisation before every route of the instance. */
export async function enforcePolicies(app: FastifyInstance, context: ApiContext): Promise<void> {
  const limits = { max: FAILURES_PER_MINUTE, timeWindow: 60_000, cache: ADDRESSES_REMEMBERED };
  await app.register(rateLimit, { global: false, ...limits });
  // Counts when asked: good keys are never held back by the bad ones of others at their address.
  const countRefusedKey = app.createRateLimit();
  app.decorateRequest('principal', null);
  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return;
    throw new IsthmusError('ACCESS_MISSING', `${String(route.method)} ${route.url} has no access`);
  });
  app.addHook('onRequest', async (request) => {
    // No access here means no route: the not-found handler answers.
    const access = request.routeOptions.config.access ?? 'public';
    if (access === 'public') return;
    const authentication = await authenticate(context.store, bearer(request), Date.now());
    if (authentication.kind === 'denied') {
      const counted = await countRefusedKey(request);
      if (!counted.isAllowed && counted.isExceeded) {
        throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many keys were refused');
      }
      throw await refused(context, request, ANONYMOUS, new IsthmusError('UNAUTHENTICATED', authentication.why));
    }
    const { principal } = authentication;
    request.principal = principal;
    if (covers(principal.role, access)) return;
    const error = new IsthmusError('FORBIDDEN', `this needs a key of role ${access}; yours is ${principal.role}`);
    throw await refused(context, request, principal.keyId, error);
  });
}

/** Who made the request; every route that asks has an access rule, so there is someone. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new IsthmusError('INTERNAL', 'a public route asked who called it');
  return request.principal;
}

/** Records a denial, within the share of who made the request; answers the error for throwing. */
export async function refused(
  { store }: ApiContext,
  request: FastifyRequest,
  actor: string,
  error: IsthmusError,
  asked: Readonly<Record<string, unknown>> = {},
): Promise<IsthmusError> {
  const route = `${request.method} ${request.routeOptions.url ?? ''}`;
  await store.denials.record(actor === ANONYMOUS ? request.ip : actor, {
    actor,
    type: 'request.denied',
    subject: route,
    data: { code: error.code, address: request.ip, ...asked },
  });
  return error;
}

function bearer(request: FastifyRequest): string {
  return /^Bearer (\S{1,200})$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
}
