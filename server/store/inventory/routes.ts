// Routes over one path, to which every route of a machine resolves.
import type { MachineRoute } from '../../../contract/machines.ts';

/** A route over one path: direct, or over the relays to cross, the server's neighbour first. */
export type FixedRoute = Exclude<MachineRoute, { kind: 'auto' }>;

/** The route over these relays. */
export function routeOver(via: readonly string[]): FixedRoute {
  return via.length === 0 ? { kind: 'direct' } : { kind: 'path', via };
}
