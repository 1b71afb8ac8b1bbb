// Clean-up of folders that init, restore and backup leave when they are killed; these hold keys. Each command works in
// a folder that it keeps locked; the next one removes every folder without a lock.
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { lockDataDir, type DataLock } from '../../lib/files/data-lock.ts';

/** Removes the folders in `parent` with a matching name that no process has locked. */
export async function clearFolders(parent: string, name: RegExp): Promise<void> {
  for (const entry of await readdir(parent).catch(() => [])) {
    if (!name.test(entry)) continue;
    const lock = lockUnlessHeld(join(parent, entry));
    if (lock === undefined) continue;
    await rm(join(parent, entry), { recursive: true, force: true }).finally(() => {
      lock.unlock();
    });
  }
}

function lockUnlessHeld(folder: string): DataLock | undefined {
  try {
    return lockDataDir(folder);
  } catch {
    return undefined;
  }
}

/** Removes what killed backups have left in a data folder. */
export async function clearBackups(dataDir: string): Promise<void> {
  await clearFolders(dataDir, /^backup-[0-9a-f]{12}$/);
  for (const entry of await readdir(dataDir).catch(() => [])) {
    const [, id] = /^(backup-[0-9a-f]{12})\.db/.exec(entry) ?? [];
    if (id !== undefined && !existsSync(join(dataDir, id))) await rm(join(dataDir, entry), { force: true });
  }
}
