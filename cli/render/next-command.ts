// What starts a component whose data folder is ready, on this machine.
import { existsSync } from 'node:fs';
import type { NodeRole } from '../../contract/nodes.ts';
import { hostLayout } from '../../host/layout.ts';
import { shellWord } from './shell.ts';

/** The command for copying: a service where the software is installed and the folder is a service's. */
export function startCommand(role: NodeRole, dataDir: string): string {
  const layout = hostLayout();
  return dataDir === layout.dataDir(role) && existsSync(layout.current)
    ? `isthmus service install --role ${role}`
    : `isthmus ${role} start --data ${shellWord(dataDir)}`;
}
