// Finds the paths to a machine: the only thing that tasks need of the topology.
import type { DispatchRoute } from '../store/inventory/routes.ts';

/**
 * The paths to a machine in the order to try them; called before each round of attempts. Empty when there is no such
 * machine. MACHINE_REVOKED once it is revoked.
 */
export type RoutesOf = (machine: string) => Promise<readonly DispatchRoute[]>;
