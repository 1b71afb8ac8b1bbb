// Consistent copies of a database that is open.
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { backup, type DatabaseSync } from 'node:sqlite';
import { IsthmusError } from '../../../contract/errors.ts';
import { syncPath } from '../../../lib/files/disk-space.ts';
import { createPrivate } from '../../../lib/files/private.ts';
import { DATABASE_FILE } from './open.ts';

/** 16 MiB: large enough to make the overhead per step negligible, small enough to stop soon. */
const PAGES_PER_STEP = 4096;
const SQLITE_FULL = 13;

/** The copy of a database from before a migration has that migration's name after this. */
const BEFORE = `${DATABASE_FILE}.before-`;

/** Writes a copy (0600) to a new file. Does not block the event loop. */
export async function copyDatabase(database: DatabaseSync, file: string): Promise<void> {
  createPrivate(file);
  await backup(database, file, { rate: PAGES_PER_STEP });
}

/**
 * Keeps the database as it is before a migration changes it, beside it, so that one can go back to an older version; the
 * copy from before another migration goes. DISK_FULL where there is no room for it.
 */
export async function keepCopyBefore(database: DatabaseSync, dataDir: string, migration: string): Promise<void> {
  const [partial, kept] = [join(dataDir, `${BEFORE}.partial`), join(dataDir, BEFORE + migration)];
  try {
    await rm(partial, { force: true });
    await copyDatabase(database, partial);
    await syncPath(partial);
    await rename(partial, kept);
    await syncPath(dataDir);
  } catch (thrown) {
    await rm(partial, { force: true });
    const code = thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined;
    if (code !== SQLITE_FULL) throw thrown;
    const message = `no room in ${dataDir} to copy the database before migration ${migration}`;
    throw new IsthmusError('DISK_FULL', message, { cause: thrown });
  }
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(BEFORE) && name !== BEFORE + migration) await rm(join(dataDir, name));
  }
}
