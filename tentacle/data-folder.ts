// Who may reach what in a tentacle's data folder: every account the releases in `applications`, and nothing else. A
// folder in it that others could pass is created closed, or opened where it is needed (a workspace for its script).
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { blobEntries } from '../lib/blobs/blob-store.ts';
import { ownFolder } from '../lib/files/private.ts';

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

/** Lets accounts pass the data folder, in which the files, such as the settings, are closed to them. Idempotent. */
export async function letThrough(dataDir: string): Promise<void> {
  for (const entry of await readdir(dataDir, { withFileTypes: true })) {
    if (entry.isFile()) await chmod(join(dataDir, entry.name), 0o600);
  }
  await chmod(dataDir, 0o711);
}

/** Creates a folder that everybody may read, whatever the umask. Its parents exist. */
export async function makeReadable(path: string): Promise<void> {
  ownFolder(path);
  await chmod(path, 0o755);
}
