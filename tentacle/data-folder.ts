// Who may reach what in a tentacle's data folder: every account the releases in `applications`, and nothing else. A
// folder in it that others could pass is created closed, or opened where it is needed (a workspace for its script).
import { chmod, stat } from 'node:fs/promises';
import { blobEntries } from '../lib/blobs/blob-store.ts';
import { ownFolder } from '../lib/files/private.ts';

const PERMISSIONS = 0o777;
const PASSABLE = 0o111;

const INSTALLATION = 'applications/*/*/*';

/** What the tentacle keeps below the first level. The files of workspaces and of releases are not its own. */
export const OWN_ENTRIES: readonly string[] = [
  ...blobEntries('packages'),
  'tickets/*',
  'applications/*',
  'applications/*/*',
  INSTALLATION,
  `${INSTALLATION}/{.private,releases,*.json}`,
  `${INSTALLATION}/releases/*.json`,
];

/** Lets accounts pass the data folder. Its files are created closed to them; the settings are the operator's. */
export async function letThrough(dataDir: string): Promise<void> {
  const { mode } = await stat(dataDir);
  if ((mode & PASSABLE) !== PASSABLE) await chmod(dataDir, (mode & PERMISSIONS) | PASSABLE);
}

/** Creates a folder that everybody may read, whatever the umask. Its parents exist. */
export async function makeReadable(path: string): Promise<void> {
  ownFolder(path);
  await chmod(path, 0o755);
}
