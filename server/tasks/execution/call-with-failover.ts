// Calls one node with failover: tries its routes in order, round after round, until a call is answered or the
// caller's time is up. A call may be repeated after it was sent, because it names the same ticket, and the tentacle
// answers a repeat with the ticket's present state.
import type { Client } from '@grpc/grpc-js';
import { backoffMs } from '../../../lib/async/backoff.ts';
import { IsthmusError, type ErrorCode } from '../../../contract/errors.ts';
import type { GrpcClient } from '../../../lib/grpc/client.ts';
import { pause, unlessAborted } from '../../../lib/async/waiting.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';
import type { DispatchRoute } from '../../store/inventory/routes.ts';
import { NotConnected, type ServiceClients } from './service-clients.ts';

export interface ReachTunables {
  /** The first wait; each next one may be twice as long. Jitter keeps a site's machines from retrying in step. */
  readonly retryBaseMs: number;
  /** The longest wait: a machine that is back is found within this. */
  readonly retryCapMs: number;
}

export type NodeCall<Result, C extends Client> = (client: GrpcClient<C>) => Promise<Result>;
export type TentacleCall<Result> = NodeCall<Result, TentacleClient>;

interface RoundOptions<C extends Client> {
  readonly clients: ServiceClients<C>;
  readonly node: string;
  /** Read before every round, so that a corrected route helps a waiting task, and a revocation ends it. */
  readonly routes: () => Promise<readonly DispatchRoute[]>;
  /** No further round begins once one of these has aborted. */
  readonly signals: readonly AbortSignal[];
  /** Answers of the node that are worth another round, too. */
  readonly isTransient?: ((error: IsthmusError) => boolean) | undefined;
}

export interface ReachOptions extends RoundOptions<TentacleClient>, ReachTunables {
  /** Once it has aborted, the current round is the last; one round is always tried. */
  readonly reachabilityTimeout?: AbortSignal | undefined;
  /** Called for each failed round whose reason differs from the one before. */
  readonly onFailing?: (error: IsthmusError) => Promise<void>;
}

export type Reached<Result> =
  | { readonly kind: 'answered'; readonly value: Result }
  /** A signal aborted first; `lastError` is the last round's failure, if there was one. */
  | { readonly kind: 'gaveUp'; readonly lastError: IsthmusError | undefined };

/** Failures that may pass by themselves: of a hop, a link or a tunnel, never of the call itself. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'UNREACHABLE',
  'DEADLINE_EXCEEDED',
  // Of the tunnel or its session: all calls over it together were too many, which says nothing about this one.
  'RATE_LIMITED',
  'E2E_TLS',
  'LINK_TIMEOUT',
  'TUNNEL_SILENT',
  'NO_ROUTE',
  // Renewed, or the clock set right, while the task waits.
  'PEER_CERTIFICATE_EXPIRED',
  'PEER_CERTIFICATE_NOT_YET_VALID',
  // The machine's own: the next read of its routes says so. A relay's: it joins again, or the route is corrected.
  'PEER_CERTIFICATE_REVOKED',
  'PROTOCOL',
  'RESOURCE_EXHAUSTED',
  'SERVICE_UNKNOWN',
  'SESSION_REPLACED',
  'SESSION_UNKNOWN',
  'STALE_SESSION',
  'CANCELLED',
]);

/** Whether an error means only that the call did not get through. */
export function isConnectionFailure(error: IsthmusError): boolean {
  if (error instanceof NotConnected) return true;
  // A status without our trailers comes from the transport: a broken stream, not an answer.
  return TRANSIENT.has(error.code) || (error.code === 'INTERNAL' && error.cause !== undefined);
}

/** Calls the tentacle. Throws every error that it answers itself. */
export async function reach<Result>(options: ReachOptions, call: TentacleCall<Result>): Promise<Reached<Result>> {
  const { signals, reachabilityTimeout, onFailing, retryBaseMs: baseMs, retryCapMs: capMs } = options;
  let lastError: IsthmusError | undefined;
  for (let failures = 0; !signals.some(({ aborted }) => aborted); failures += 1) {
    const round = await tryRoutes(options, call);
    if (round.kind === 'answered') return round;
    // The caller's own cut says nothing about the path.
    if (round.error.code === 'CANCELLED' && signals.some(({ aborted }) => aborted)) break;
    const changed = round.error.code !== lastError?.code || round.error.hop !== lastError.hop;
    lastError = round.error;
    if (changed) await onFailing?.(round.error);
    if (reachabilityTimeout?.aborted === true) break;
    const waitMs = backoffMs(failures, { baseMs, capMs, jitter: 'half' });
    await pause(waitMs, ...signals, ...(reachabilityTimeout === undefined ? [] : [reachabilityTimeout]));
  }
  return { kind: 'gaveUp', lastError };
}

type Round<Result> =
  { readonly kind: 'answered'; readonly value: Result } | { readonly kind: 'failed'; readonly error: IsthmusError };

/** Tries each route once. Throws what the node itself answers: no other route would change it. */
export async function tryRoutes<Result, C extends Client>(
  { clients, node, routes, signals, isTransient }: RoundOptions<C>,
  call: NodeCall<Result, C>,
): Promise<Round<Result>> {
  let failed: IsthmusError | undefined;
  for (const route of await routes()) {
    if (signals.some(({ aborted }) => aborted)) {
      failed ??= new IsthmusError('CANCELLED', 'the caller no longer waits', { hop: node });
      break;
    }
    if (route.error !== undefined) {
      failed ??= route.error;
      continue;
    }
    try {
      const value = await clients.use(node, pathOf(route), async (client) => {
        await unlessAborted(client.ready(), signals);
        return call(client);
      });
      return { kind: 'answered', value };
    } catch (thrown) {
      const retryable =
        thrown instanceof IsthmusError && (isConnectionFailure(thrown) || isTransient?.(thrown) === true);
      if (!retryable) throw thrown;
      failed ??= route.cause ?? thrown;
    }
  }
  return { kind: 'failed', error: failed ?? unreachable(node) };
}

function pathOf(route: DispatchRoute): readonly string[] {
  return route.kind === 'direct' ? [] : route.via;
}

function unreachable(node: string): IsthmusError {
  return new IsthmusError('UNREACHABLE', `${node} has no route that could be tried`, { hop: node });
}
