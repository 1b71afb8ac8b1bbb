// Route access: deny by default. A route without an access rule stops the start-up (I10). A request without a valid
// key, or with a key of too low a role, is denied before its body is read, and leaves one denial.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import { networkOf } from '../../lib/net/network-address.ts';
import { authenticate, covers, type Principal } from '../access/api-keys.ts';
import type { ApiContext } from './context.ts';

/** Wrong keys of one network per minute: a typo in a script's loop stays below, guessing does not. */
const WRONG_KEYS = { perSource: 30, windowMs: 60_000, sources: 10_000 };

/** The actor of a request without a valid key. */
export const ANONYMOUS = 'anonymous';

/** Adds authentication and authorisation to every route of the instance. */
export function enforceAccess(app: FastifyInstance, context: ApiContext): void {
  // Only wrong keys count, so that valid keys are not limited by wrong ones from the same address.
  const wrongKeys = new DenialLimiter(WRONG_KEYS);
  app.decorateRequest('principal', null);
  app.addHook('onRoute', (route) => {
    if (route.config?.access !== undefined) return;
    throw new IsthmusError('ACCESS_MISSING', `${String(route.method)} ${route.url} has no access rule`);
  });
  app.addHook('onRequest', async (request) => {
    const { access } = request.routeOptions.config;
    if (access === undefined || access === 'public') return;
    const authentication = await authenticate(context.store, bearer(request), Date.now());
    if (authentication.kind === 'denied') {
      if (wrongKeys.admit(networkOf(request.ip)) === 'suppressed') {
        throw new IsthmusError('RESOURCE_EXHAUSTED', 'too many wrong keys from this address');
      }
      throw await denied(context, request, ANONYMOUS, new IsthmusError('UNAUTHENTICATED', authentication.why));
    }
    const { principal } = authentication;
    request.principal = principal;
    if (covers(principal.role, access)) return;
    const error = new IsthmusError('FORBIDDEN', `this needs a key of role ${access}; yours is ${principal.role}`);
    throw await denied(context, request, principal.keyId, error);
  });
}

/** The API key behind a request. Every route that calls this has an access rule, so there is one. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new IsthmusError('INTERNAL', 'a public route has no principal');
  return request.principal;
}

/** Records a denial, within the requester's limit; returns the error to throw. */
export async function denied(
  { store }: ApiContext,
  request: FastifyRequest,
  actor: string,
  error: IsthmusError,
  details: Readonly<Record<string, unknown>> = {},
): Promise<IsthmusError> {
  const route = `${request.method} ${request.routeOptions.url ?? ''}`;
  await store.denials.record(actor === ANONYMOUS ? request.ip : actor, {
    actor,
    type: 'request.denied',
    subject: route,
    data: { code: error.code, address: request.ip, ...details },
  });
  return error;
}

function bearer(request: FastifyRequest): string {
  return /^Bearer (\S{1,200})$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
}
