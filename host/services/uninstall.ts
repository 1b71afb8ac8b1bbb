// Takes the service of a component away from this host. Its data stay unless they are to be deleted, too.
import { existsSync, realpathSync } from 'node:fs';
import { IsthmusError } from '../../contract/errors.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { runProgram } from '../../lib/programs.ts';
import type { ServiceHost } from './service.ts';
import { installedRoles, limitScripts, unitOf, unlinkUnit, UPGRADER_PATH, UPGRADER_UNITS } from './units.ts';

interface UninstallOptions {
  /** Deletes the data folder, and kills what works in it: the scripts of a tentacle go on otherwise. */
  readonly deletesData?: boolean;
}

/** Stops a service; it is not started at boot any more. Safe to repeat. */
export async function uninstallService(
  { layout, systemd }: ServiceHost,
  role: NodeRole,
  { deletesData = false }: UninstallOptions = {},
): Promise<void> {
  await systemd.stop(unitOf(role));
  if (deletesData) await systemd.killAll(unitOf(role));
  unlinkUnit(layout, unitOf(role));
  if (role === 'tentacle') limitScripts(layout, true);
  if (installedRoles(layout).length === 0) {
    await systemd.stop(UPGRADER_PATH);
    for (const unit of UPGRADER_UNITS) unlinkUnit(layout, unit);
  }
  await systemd.reload();
  if (deletesData) await deleteFolder(layout.dataDir(role));
}

async function deleteFolder(dataDir: string): Promise<void> {
  if (!existsSync(dataDir)) return;
  try {
    // `rm` holds on to each folder that it empties: none can be replaced by a link meanwhile. The folder itself may be a
    // link of root's.
    await runProgram('rm', '-rf', '--one-file-system', '--', realpathSync(dataDir), dataDir);
  } catch (cause) {
    throw new IsthmusError('FILE_UNUSABLE', `${dataDir} cannot be deleted whole`, { cause });
  }
}
