// The routes of machines, read from the store once a second at most: every call asks for them, and a burst of a
// thousand tickets must not become thousands of queries. A corrected route helps a waiting task a second later, and a
// machine that was revoked takes nothing more: the mesh cuts what is under way, and the next look here ends it.
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../lib/errors.ts';
import type { Store } from '../store/store.ts';
import type { Route } from '../store/routes.ts';

/** A machine's routes in order of preference; none when there is no such machine. MACHINE_REVOKED once it is. */
export type RoutesOf = (machine: string) => Promise<readonly Route[]>;

const KEPT_MS = 1_000;
const MOST = 5_000;

/** Reads routes from `store`. */
export function createRouteBook(store: Pick<Store, 'machines'>): RoutesOf {
  const known = new LRUCache<string, Promise<readonly Route[]>>({ max: MOST, ttl: KEPT_MS });
  return (machine) => {
    const kept = known.get(machine);
    if (kept !== undefined) return kept;
    const reading = readRoutes(store, machine);
    known.set(machine, reading);
    reading.catch(() => known.delete(machine));
    return reading;
  };
}

async function readRoutes(store: Pick<Store, 'machines'>, machine: string): Promise<readonly Route[]> {
  const found = await store.machines.access(machine);
  if (found?.revoked !== true) return found?.routes ?? [];
  throw new IsthmusError('MACHINE_REVOKED', `machine ${machine} has been revoked`, { hop: machine });
}
