// Caches warm gRPC clients of one mesh service, one per node and path: a tunnel and its handshakes cost several round
// trips, so tasks share them. Idle clients are closed; an evicted client that is in use is closed when its last user is
// done.
import type { Duplex } from 'node:stream';
import type { Client } from '@grpc/grpc-js';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../../contract/errors.ts';
import { grpcClient, type GrpcClient } from '../../../lib/grpc/client.ts';
import type { DialOptions } from '../../../mesh/types.ts';

export interface ClientTunables {
  /** For opening a tunnel over all hops and the end-to-end handshake: a few round trips each, on slow lines too. */
  readonly dialDeadlineMs: number;
  /** How long an unused tunnel is kept. Longer than the pause between two steps of a deployment. */
  readonly idleMs: number;
  /** The most tunnels kept; about 100 KB each. */
  readonly maxClients: number;
}

const DEFAULTS: ClientTunables = { dialDeadlineMs: 12_000, idleMs: 300_000, maxClients: 2_000 };

/** A mesh service, and how a gRPC client of it is constructed. */
export interface CalledService<C extends Client> {
  readonly name: string;
  readonly constructor: Parameters<typeof grpcClient<C>>[0];
}

/**
 * No connection to the node itself was made. Its code comes from a hop on the path, never from the node, which speaks
 * only inside its own TLS session.
 */
export class NotConnected extends IsthmusError {
  constructor(thrown: unknown, node: string) {
    const { code, message, hop = node, field, remedy } = IsthmusError.from(thrown, 'UNREACHABLE');
    super(code, message, { hop, field, remedy, cause: thrown });
  }
}

/** Opens a stream over the mesh. */
export type Dial = (options: DialOptions) => Promise<Duplex>;

interface Entry<C extends Client> {
  readonly client: GrpcClient<C>;
  users: number;
  evicted: boolean;
}

export interface ServiceClients<C extends Client> {
  /** Lends the client of a node over a path (the relays, next first) for as long as `work` takes. */
  use<Result>(node: string, path: readonly string[], work: (client: GrpcClient<C>) => Promise<Result>): Promise<Result>;
  /** Closes every tunnel. Calls in flight fail UNREACHABLE. */
  close(): void;
}

/** Whether nothing came back over a path: not over a tunnel that was open, nor to the dial. */
function isSilence(thrown: unknown): boolean {
  if (!(thrown instanceof IsthmusError)) return false;
  return thrown.code === 'TUNNEL_SILENT' || (thrown instanceof NotConnected && thrown.code === 'DEADLINE_EXCEEDED');
}

/** Called with a path over which a call or a dial got no answer. */
export type OnSilent = (node: string, path: readonly string[]) => void;

/** The cache of a service's clients over `dial`. */
export function createServiceClients<C extends Client>(
  service: CalledService<C>,
  dial: Dial,
  tunables: Partial<ClientTunables> = {},
  onSilent: OnSilent = () => undefined,
): ServiceClients<C> {
  const { dialDeadlineMs, idleMs, maxClients } = { ...DEFAULTS, ...tunables };
  const inUse = new Set<Entry<C>>();
  const clients = new LRUCache<string, Entry<C>>({
    max: maxClients,
    ttl: idleMs,
    ttlAutopurge: true,
    updateAgeOnGet: true,
    dispose: (entry) => {
      entry.evicted = true;
      if (entry.users === 0) entry.client.close();
    },
  });

  function open(node: string, path: readonly string[]): Entry<C> {
    const options = { node, service: service.name, path, class: 'control' as const, deadlineMs: dialDeadlineMs };
    const connect = (signal: AbortSignal) =>
      dial({ ...options, signal }).catch((thrown: unknown) => {
        throw new NotConnected(thrown, node);
      });
    const client = grpcClient(service.constructor, connect, { hop: node });
    return { client, users: 0, evicted: false };
  }

  return {
    async use(node, path, work) {
      const key = JSON.stringify([node, path]);
      const entry = clients.get(key) ?? open(node, path);
      entry.users += 1;
      inUse.add(entry);
      clients.set(key, entry);
      try {
        return await work(entry.client);
      } catch (thrown) {
        if (isSilence(thrown)) onSilent(node, path);
        throw thrown;
      } finally {
        entry.users -= 1;
        if (entry.users === 0) {
          inUse.delete(entry);
          if (entry.evicted) entry.client.close();
        }
      }
    },
    close() {
      clients.clear();
      for (const { client } of inUse) client.close();
    },
  };
}
