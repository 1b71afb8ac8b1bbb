// Routes over one path, to which every route of a machine resolves.
import type { IsthmusError } from '../../../contract/errors.ts';
import type { MachineRoute } from '../../../contract/machines.ts';

/** A route over one path: direct, or over the relays to cross, the server's neighbour first. */
export type FixedRoute = Exclude<MachineRoute, { kind: 'auto' }>;

/** A route that dispatch may take. */
export type DispatchRoute = FixedRoute & {
  /** What every call over it would fail with; it is not tried then. */
  readonly error?: IsthmusError;
  /** What it means when a call over it does not get through. */
  readonly cause?: IsthmusError;
};

/** The route over these relays. */
export function routeOver(via: readonly string[]): FixedRoute {
  return via.length === 0 ? { kind: 'direct' } : { kind: 'path', via };
}
