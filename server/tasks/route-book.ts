// The routes of machines, read from the store once a second at most: every call asks for them, and a burst of a
// thousand tickets must not become thousands of queries. A corrected route helps a waiting task a second later, and a
// machine that was revoked takes nothing more: the mesh cuts what is under way, and the next look here ends it.
import { isDeepStrictEqual } from 'node:util';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../lib/errors.ts';
import type { Store } from '../store/store.ts';
import { wayOver, type Way } from '../store/routes.ts';

/** The ways to a machine in the order to try them; none when there is no such machine. MACHINE_REVOKED once it is. */
export type RoutesOf = (machine: string) => Promise<readonly Way[]>;

/** Answers what `auto` is now: the relays to cross by each way, the cheapest live way first. */
export type AutoPaths = (machine: string) => Promise<readonly (readonly string[])[]>;

const KEPT_MS = 1_000;
const MOST = 5_000;

/** Reads routes from `store`. */
export function createRouteBook(store: Pick<Store, 'machines'>, autoPaths: AutoPaths): RoutesOf {
  const known = new LRUCache<string, Promise<readonly Way[]>>({ max: MOST, ttl: KEPT_MS });
  return (machine) => {
    const kept = known.get(machine);
    if (kept !== undefined) return kept;
    const reading = readWays(store, machine, autoPaths);
    known.set(machine, reading);
    reading.catch(() => known.delete(machine));
    return reading;
  };
}

async function readWays(
  store: Pick<Store, 'machines'>,
  machine: string,
  autoPaths: AutoPaths,
): Promise<readonly Way[]> {
  const found = await store.machines.access(machine);
  if (found?.revoked === true) {
    throw new IsthmusError('MACHINE_REVOKED', `machine ${machine} has been revoked`, { hop: machine });
  }
  const ways: Way[] = [];
  for (const route of found?.routes ?? []) {
    const named = route.kind === 'auto' ? (await autoPaths(machine)).map(wayOver) : [route];
    ways.push(...named.filter((way) => !ways.some((other) => isDeepStrictEqual(way, other))));
  }
  return ways;
}
