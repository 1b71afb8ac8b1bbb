// Takes the software off a host. Data, keys and accounts stay unless they are to be deleted, too.
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { findUser } from '../../lib/accounts.ts';
import { runProgram } from '../../lib/programs.ts';
import type { HostLayout } from '../layout.ts';
import { SCRIPT_ACCOUNT, SERVICE_ACCOUNT } from '../services/accounts.ts';
import { Systemd } from '../services/systemd.ts';
import { uninstallService } from '../services/uninstall.ts';
import { unitOf, unlinkUnit, UPGRADER_UNITS } from '../services/units.ts';
import { unlinkCommand } from './links.ts';
import { withVersionsLocked } from './lock.ts';

interface UninstallOptions {
  /** Also the data folders, the trusted keys and the accounts of services. */
  readonly deletesData: boolean;
}

/** Removes services, command and all versions; safe to repeat. UPGRADE_BUSY while the version is being changed. */
export async function uninstall(layout: HostLayout, { deletesData }: UninstallOptions): Promise<void> {
  const work = async (): Promise<void> => {
    await removeServices(layout, deletesData);
    await unlinkCommand(layout);
    if (deletesData) await deleteData(layout);
  };
  await (existsSync(layout.versions) ? withVersionsLocked(layout, {}, work) : work());
  // `current` goes first: what is half removed is no installation.
  for (const path of [layout.current, layout.previous, layout.knownGood]) await rm(path, { force: true });
  await rm(layout.versions, { recursive: true, force: true });
}

async function removeServices(layout: HostLayout, deletesData: boolean): Promise<void> {
  const systemd = new Systemd();
  if (layout.root === '/' && systemd.isRunning()) {
    for (const role of NODE_ROLES) await uninstallService({ layout, systemd }, role, { deletesData });
    return;
  }
  for (const unit of [...NODE_ROLES.map(unitOf), ...UPGRADER_UNITS]) unlinkUnit(layout, unit);
}

async function deleteData(layout: HostLayout): Promise<void> {
  const folders = [dirname(layout.dataDir('server')), dirname(layout.releaseKeys)];
  await runProgram('rm', '-rf', '--one-file-system', '--', ...folders);
  if (layout.root !== '/') return;
  for (const name of [SERVICE_ACCOUNT, SCRIPT_ACCOUNT]) {
    if ((await findUser(name)) !== undefined) await runProgram('userdel', name);
  }
}
