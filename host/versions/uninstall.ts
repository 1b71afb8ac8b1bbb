// Takes the software off a host. Data, keys and accounts stay unless they are to be deleted, too.
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NODE_ROLES } from '../../contract/nodes.ts';
import { findUser } from '../../lib/accounts.ts';
import { LOCK_FILES } from '../../lib/files/data-lock.ts';
import { errnoOf } from '../../lib/files/disk-space.ts';
import { runProgram } from '../../lib/programs.ts';
import type { HostLayout } from '../layout.ts';
import { SCRIPT_ACCOUNT, SERVICE_ACCOUNT } from '../services/accounts.ts';
import { systemdOf, type Systemd } from '../services/systemd.ts';
import { uninstallService } from '../services/uninstall.ts';
import { unitOf, unlinkUnit, UPGRADER_UNITS } from '../services/units.ts';
import { unlinkCommand } from '../disk/links.ts';
import { withVersionsLocked } from '../disk/lock.ts';

interface UninstallOptions {
  /** Also the data folders, the trusted keys and the accounts of services. */
  readonly deletesData: boolean;
}

/** Removes services, command and all versions; safe to repeat. UPGRADE_BUSY while the version is being changed. */
export async function uninstall(
  layout: HostLayout,
  { deletesData }: UninstallOptions,
  systemd = systemdOf(layout),
): Promise<void> {
  const work = async (): Promise<void> => {
    await removeServices(layout, systemd, deletesData);
    await unlinkCommand(layout);
    if (deletesData) await deleteData(layout);
    await removeVersions(layout);
  };
  await (existsSync(layout.versions) ? withVersionsLocked(layout, {}, work) : work());
}

async function removeServices(layout: HostLayout, systemd: Systemd | undefined, deletesData: boolean): Promise<void> {
  if (systemd === undefined) {
    for (const unit of [...NODE_ROLES.map(unitOf), ...UPGRADER_UNITS]) unlinkUnit(layout, unit);
    return;
  }
  // One that waits for the lock would otherwise begin as soon as it is free.
  for (const unit of UPGRADER_UNITS) await systemd.stop(unit);
  for (const role of NODE_ROLES) await uninstallService({ layout, systemd }, role, { deletesData });
}

/** The lock goes last: until then, nobody else installs what would be deleted here. */
async function removeVersions({ versions, current, previous, knownGood }: HostLayout): Promise<void> {
  if (!existsSync(versions)) return;
  // `current` goes first: what is half removed is no installation.
  for (const path of [current, previous, knownGood]) await rm(path, { force: true });
  const names = (await readdir(versions)).filter((name) => !LOCK_FILES.includes(name));
  for (const name of names) await rm(join(versions, name), { recursive: true, force: true });
  for (const name of LOCK_FILES) await rm(join(versions, name), { force: true });
  await rmdir(versions).catch((thrown: unknown) => {
    // The next installation has begun.
    if (errnoOf(thrown) !== 'ENOTEMPTY') throw thrown;
  });
}

async function deleteData(layout: HostLayout): Promise<void> {
  const folders = [dirname(layout.dataDir('server')), dirname(layout.releaseKeys)];
  await runProgram('rm', '-rf', '--one-file-system', '--', ...folders);
  if (layout.root !== '/') return;
  for (const name of [SERVICE_ACCOUNT, SCRIPT_ACCOUNT]) {
    if ((await findUser(name)) !== undefined) await runProgram('userdel', name);
  }
}
