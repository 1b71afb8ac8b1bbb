// Where the software of a host, its services and their data lie. Tests and images put all of it below another root.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NodeRole } from '../contract/nodes.ts';

export interface HostLayout {
  readonly root: string;
  /** A folder for each version, and the links to them. */
  readonly versions: string;
  /** The version whose services run: a relative link. */
  readonly current: string;
  /** The version that was current before: a relative link. */
  readonly previous: string;
  /** The last version that an operator or the server found working, which runs the upgrader: a relative link. */
  readonly knownGood: string;
  /** What the last change of the version has come to. */
  readonly journal: string;
  /** Public keys (`*.pub`) whose software this host takes. */
  readonly releaseKeys: string;
  /** The tree of a Debian package, which then owns the version of the host. */
  readonly packaged: string;
  /** The command on everybody's path. */
  readonly command: string;
  /** Where links to the units of services are. */
  readonly units: string;
  /** The data folder of a service. */
  dataDir(role: NodeRole): string;
}

/** The paths of a host whose file system begins at `root`. */
export function hostLayout(root = '/'): HostLayout {
  const at = (path: string): string => join(resolve(root), path);
  return {
    root: resolve(root),
    versions: at('opt/isthmus'),
    current: at('opt/isthmus/current'),
    previous: at('opt/isthmus/previous'),
    knownGood: at('opt/isthmus/known-good'),
    journal: at('opt/isthmus/upgrade.json'),
    releaseKeys: at('etc/isthmus/release-keys'),
    packaged: at('usr/lib/isthmus'),
    command: at('usr/local/bin/isthmus'),
    units: at('etc/systemd/system'),
    dataDir: (role) => at(`var/lib/isthmus/${role}`),
  };
}

/** Whether a Debian package has the software: only its own means change the version. */
export function isPackaged({ packaged }: HostLayout): boolean {
  return existsSync(join(packaged, 'version.json'));
}
