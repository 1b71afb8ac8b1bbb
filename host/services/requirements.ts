// What this machine must have before a service of it is changed.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { ownAccount } from '../../lib/own-account.ts';
import type { HostLayout } from '../layout.ts';
import type { Systemd } from './systemd.ts';
import { unitOf } from './units.ts';

/** NOT_ROOT unless this process may change the machine. */
export function requireRoot(): void {
  const { uid, name } = ownAccount();
  if (uid !== 0) throw new IsthmusError('NOT_ROOT', `${name} may not change the services of this machine`);
}

/** NOT_ROOT, or SERVICE_UNSUPPORTED without systemd. */
export function requireServices(systemd: Systemd): void {
  requireRoot();
  requireSystemd(systemd);
}

/** SERVICE_UNSUPPORTED without systemd. */
export function requireSystemd(systemd: Systemd): void {
  if (systemd.isRunning()) return;
  throw new IsthmusError('SERVICE_UNSUPPORTED', 'this machine was not booted with systemd');
}

/** SERVICE_UNSUPPORTED unless the software is installed with the unit of a role. */
export function requireSoftware({ current }: HostLayout, role: NodeRole): void {
  if (existsSync(join(current, 'systemd', unitOf(role)))) return;
  throw new IsthmusError('SERVICE_UNSUPPORTED', `there is no ${current} with the software that the service would run`, {
    remedy: 'Install the tarball or the package of Isthmus first: a checkout cannot be run as a service.',
  });
}
