// A service of this host, as systemd and its component tell of it.
import type { NodeRole } from '../../contract/nodes.ts';
import { hostLayout, type HostLayout } from '../layout.ts';
import { readStatus, type ComponentStatus } from '../status.ts';
import { Systemd, type UnitState } from './systemd.ts';
import { unitOf } from './units.ts';

/** The machine whose services are meant. */
export interface ServiceHost {
  readonly layout: HostLayout;
  readonly systemd: Systemd;
}

/** This machine. */
export function thisHost(): ServiceHost {
  return { layout: hostLayout(), systemd: new Systemd() };
}

export interface Service extends UnitState {
  readonly role: NodeRole;
  readonly unit: string;
  /** What its present process says; undefined while none says anything. */
  readonly status: ComponentStatus | undefined;
}

/** How a service is now; that of a unit that does not exist is inactive. */
export async function serviceOf({ layout, systemd }: ServiceHost, role: NodeRole): Promise<Service> {
  const unit = unitOf(role);
  const state = await systemd.state(unit);
  const status = readStatus(layout.dataDir(role));
  return { role, unit, ...state, status: status?.pid === state.pid ? status : undefined };
}

/** Why a service is not connected, as its component says, or said before it ended. */
export interface Reason {
  /** Of the catalogue of the version that runs. */
  readonly code: string;
  readonly message: string;
}

/** Undefined where nothing says why. */
export async function reasonOf(
  { systemd }: ServiceHost,
  { unit, hasEnded, invocation, status }: Service,
): Promise<Reason | undefined> {
  if (hasEnded) return invocation === undefined ? undefined : systemd.lastError(unit, { invocation });
  return status?.code === undefined ? undefined : { code: status.code, message: status.detail ?? '' };
}

/** Whether its component is connected. */
export function isConnected({ status }: Service): boolean {
  return status?.state === 'connected';
}
