// Which services may be opened, by whom and towards whom. The node hands its table in; the mesh adds the three services
// that it serves itself.
import { NODE_ROLES, type NodeRole } from '../contract/nodes.ts';

export interface ServiceRule {
  /** The roles whose nodes may open the service. */
  readonly openedBy: readonly NodeRole[];
  /**
   * Where a tunnel that comes from a child may go: up to a server, or sideways to a mirror. Downwards it always may.
   */
  readonly fromBelowTo: readonly ('server' | 'mirror')[];
  /** Whether a node may open it on the server before its enrolment is confirmed. */
  readonly unconfirmed?: boolean;
}

export type ServiceTable = ReadonlyMap<string, ServiceRule>;

export const ECHO_SERVICE = 'echo';
export const CREDENTIAL_SERVICE = 'credential';
export const ENROL_SERVICE = 'enrol';

const OWN_SERVICES: Readonly<Record<string, ServiceRule>> = {
  [ECHO_SERVICE]: { openedBy: NODE_ROLES, fromBelowTo: ['server', 'mirror'], unconfirmed: true },
  [CREDENTIAL_SERVICE]: { openedBy: NODE_ROLES, fromBelowTo: ['server', 'mirror'] },
  [ENROL_SERVICE]: { openedBy: NODE_ROLES, fromBelowTo: ['server'] },
};

/** The node's services and the mesh's own. */
export function serviceTable(services: Readonly<Record<string, ServiceRule>>): ServiceTable {
  return new Map([...Object.entries(services), ...Object.entries(OWN_SERVICES)]);
}
