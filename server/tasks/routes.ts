// How the tasks learn by which paths a machine is reached: the one question that they have to the topology.
import type { FixedRoute } from '../store/inventory/routes.ts';

/**
 * The paths to a machine in the order to try them, asked anew before each round of tries; none when there is no such
 * machine. MACHINE_REVOKED once it is revoked.
 */
export type RoutesOf = (machine: string) => Promise<readonly FixedRoute[]>;
