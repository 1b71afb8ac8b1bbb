// Who may reach what in a tentacle's data folder: every account the releases in `applications`, and nothing else. A
// folder in it that others could pass is created closed, or opened where it is needed (a workspace for its script).
import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ownFolder } from '../lib/files/private.ts';

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
