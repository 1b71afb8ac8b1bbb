// Caches warm gRPC clients, one per machine and path: a tunnel and its handshakes cost several round trips, so tasks
// share them. Idle clients are closed; an evicted client that is in use is closed when its last user is done.
import type { Duplex } from 'node:stream';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../../contract/errors.ts';
import { grpcClient, type GrpcClient } from '../../../lib/grpc/client.ts';
import { loadDefinitions } from '../../../lib/grpc/load.ts';
import type { DialOptions } from '../../../mesh/types.ts';
import type { TentacleClient } from '../../../proto/gen/isthmus/tentacle/v1/Tentacle.ts';

const { Tentacle } = loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1;

export interface TentacleTunables {
  /** For opening a tunnel over all hops and the end-to-end handshake: a few round trips each, on slow lines too. */
  readonly dialDeadlineMs: number;
  /** How long an unused tunnel is kept. Longer than the pause between two steps of a deployment. */
  readonly idleMs: number;
  /** The most tunnels kept; about 100 KB each. */
  readonly maxClients: number;
}

const DEFAULTS: TentacleTunables = { dialDeadlineMs: 12_000, idleMs: 300_000, maxClients: 2_000 };

/**
 * No connection to the machine itself was made. Its code comes from a hop on the path, never from the machine, which
 * speaks only inside its own TLS session.
 */
export class NotConnected extends IsthmusError {
  constructor(thrown: unknown, machine: string) {
    const { code, message, hop = machine, field, remedy } = IsthmusError.from(thrown, 'UNREACHABLE');
    super(code, message, { hop, field, remedy, cause: thrown });
  }
}

/** Opens a stream over the mesh. */
export type Dial = (options: DialOptions) => Promise<Duplex>;

interface Entry {
  readonly client: GrpcClient<TentacleClient>;
  users: number;
  evicted: boolean;
}

export interface Tentacles {
  /** Lends the client of a machine over a path (the relays, next first) for as long as `work` takes. */
  use<Result>(
    machine: string,
    path: readonly string[],
    work: (client: GrpcClient<TentacleClient>) => Promise<Result>,
  ): Promise<Result>;
  /** Closes every tunnel. Calls in flight fail UNREACHABLE. */
  close(): void;
}

/** Whether nothing came back over a path: not over a tunnel that was open, nor to the dial. */
function isSilence(thrown: unknown): boolean {
  if (!(thrown instanceof IsthmusError)) return false;
  return thrown.code === 'TUNNEL_SILENT' || (thrown instanceof NotConnected && thrown.code === 'DEADLINE_EXCEEDED');
}

/** Called with a path over which a call or a dial got no answer. */
export type OnSilent = (machine: string, path: readonly string[]) => void;

/** The cache of clients over `dial`. */
export function createTentacles(
  dial: Dial,
  tunables: Partial<TentacleTunables> = {},
  onSilent: OnSilent = () => undefined,
): Tentacles {
  const { dialDeadlineMs, idleMs, maxClients } = { ...DEFAULTS, ...tunables };
  const inUse = new Set<Entry>();
  const clients = new LRUCache<string, Entry>({
    max: maxClients,
    ttl: idleMs,
    ttlAutopurge: true,
    updateAgeOnGet: true,
    dispose: (entry) => {
      entry.evicted = true;
      if (entry.users === 0) entry.client.close();
    },
  });

  function open(machine: string, path: readonly string[]): Entry {
    const options = { node: machine, service: 'tentacle', path, class: 'control' as const, deadlineMs: dialDeadlineMs };
    const connect = (signal: AbortSignal) =>
      dial({ ...options, signal }).catch((thrown: unknown) => {
        throw new NotConnected(thrown, machine);
      });
    const client = grpcClient(Tentacle, connect, { hop: machine });
    return { client, users: 0, evicted: false };
  }

  return {
    async use(machine, path, work) {
      const key = JSON.stringify([machine, path]);
      const entry = clients.get(key) ?? open(machine, path);
      entry.users += 1;
      inUse.add(entry);
      clients.set(key, entry);
      try {
        return await work(entry.client);
      } catch (thrown) {
        if (isSilence(thrown)) onSilent(machine, path);
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
