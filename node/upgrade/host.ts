// The host of this process as its node sees it: whether the mesh can upgrade its software.
import { existsSync, realpathSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { JoinRole } from '../../contract/join-tokens.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { hostLayout, isPackaged, type HostLayout } from '../../host/layout.ts';
import { softwarePath } from '../../lib/software.ts';

export interface UpgradeHost {
  readonly layout: HostLayout;
  /** UPGRADE_UNSUPPORTED, with the reason; undefined when the mesh can upgrade this host. */
  readonly unsupported?: IsthmusError | undefined;
}

/** The unit that has root carry out the orders of nodes. */
const UPGRADER = 'isthmus-upgrade.path';

/**
 * The host whose installed software runs in this process, for a node of this role. Its root is where that software lies:
 * tests install it below another one.
 */
export function ownHost(role: JoinRole, dataDir: string): UpgradeHost {
  const root = rootOf(softwarePath('package.json'));
  const layout = hostLayout(root);
  const unsupported = (why: string) => ({ layout, unsupported: new IsthmusError('UPGRADE_UNSUPPORTED', why) });
  if (isPackaged(layout)) return unsupported('its software came as a Debian package');
  if (root === undefined) return unsupported('its software was not installed from a tarball');
  if (realPathOf(dataDir) !== realPathOf(layout.dataDir(role))) {
    return unsupported(`it is no service of its host: its data folder is ${dataDir}, not ${layout.dataDir(role)}`);
  }
  if (!existsSync(join(layout.units, UPGRADER))) return unsupported(`its host has no ${UPGRADER}`);
  return { layout };
}

/** The root of the host below which a file of installed software lies: `<root>/opt/isthmus/VERSION/…`. */
function rootOf(file: string): string | undefined {
  const [root, ...rest] = file.split(`${sep}opt${sep}isthmus${sep}`);
  if (root === undefined || rest.length !== 1) return undefined;
  return root === '' ? sep : root;
}

function realPathOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}
