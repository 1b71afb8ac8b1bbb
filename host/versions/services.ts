// What the change of a version needs of the services of its host. `systemd.ts` has them from systemd; tests have others.
import type { NodeRole } from '../../contract/nodes.ts';
import type { ComponentStatus } from '../status.ts';

/** How a service is at a moment. */
export interface ServiceState {
  /** Its process; undefined while none runs. */
  readonly pid: number | undefined;
  /** How often its process has ended by itself since it was started. */
  readonly crashes: number;
  /** Nobody will start it again. */
  readonly hasFailed: boolean;
  /** What its component wrote last, maybe of an earlier process. */
  readonly status: ComponentStatus | undefined;
}

export interface HostServices {
  /** The roles whose services run, or are started again and again. */
  active(): Promise<readonly NodeRole[]>;
  /** Has the units read again. */
  reload(): Promise<void>;
  /** Resolves once the new process runs. Throws when the service cannot be started at all. */
  restart(role: NodeRole): Promise<void>;
  stop(role: NodeRole): Promise<void>;
  state(role: NodeRole): Promise<ServiceState>;
  /** What the component of a service said before it ended. */
  lastError(role: NodeRole): Promise<{ readonly code: string; readonly message: string } | undefined>;
}
