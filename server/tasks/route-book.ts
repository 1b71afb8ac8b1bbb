// The routes of machines, read from the store once a second at most: every call asks for them, and a burst of a
// thousand tickets must not become nine thousand queries. A corrected route helps a waiting task a second later.
import { LRUCache } from 'lru-cache';
import type { Store } from '../store/store.ts';
import type { Route } from '../store/routes.ts';

/** A machine's routes in order of preference; none when there is no such machine. */
export type RoutesOf = (machine: string) => Promise<readonly Route[]>;

const KEPT_MS = 1_000;
const MOST = 5_000;

/** Reads routes from `store`. */
export function createRouteBook(store: Pick<Store, 'machines'>): RoutesOf {
  const known = new LRUCache<string, Promise<readonly Route[]>>({ max: MOST, ttl: KEPT_MS });
  return (machine) => {
    const kept = known.get(machine);
    if (kept !== undefined) return kept;
    const reading = store.machines.find(machine).then((found) => found?.routes ?? []);
    known.set(machine, reading);
    reading.catch(() => known.delete(machine));
    return reading;
  };
}
