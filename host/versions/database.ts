// The database of a server that goes back to a version with an older schema: the copy that the newer one made before its
// migration comes back, and the migrated database stays beside it. The folder is another account's, so that every name
// in it is renamed in the open folder.
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { syncFolder } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';
import { inFolderBelow } from '../no-links.ts';
import type { Software } from './software.ts';

const DATABASE = 'isthmus.db';
const MIGRATED = `${DATABASE}.migrated`;
/** `isthmus.db.before-0002-more`: as it was before that migration (server/store/sqlite/copy.ts). */
const COPY = /^isthmus\.db\.before-(\d{4}-[0-9a-z-]+)$/;
/** What SQLite had not yet written to the database itself. */
const LOG = '-wal';

/** Whether the server of this host has a database that the software does not know, with a copy from before. */
export function isMigrated(layout: HostLayout, { schema }: Software): boolean {
  return inFolder(layout, (folder) => copyAfter(folder, schema) !== undefined) ?? false;
}

/**
 * Puts the copy from before the migration in the place of the database, once its server has stopped. Can be repeated at
 * any moment; where there is no such copy, it changes nothing.
 */
export function putBackDatabase(layout: HostLayout, { schema }: Software): void {
  inFolder(layout, (folder) => {
    const copy = copyAfter(folder, schema);
    if (copy === undefined) return;
    const names = readdirSync(folder);
    if (names.includes(DATABASE)) {
      rmSync(join(folder, MIGRATED + LOG), { force: true });
      renameSync(join(folder, DATABASE), join(folder, MIGRATED));
    }
    // A run that was cut off may have got so far.
    if (names.includes(DATABASE + LOG)) renameSync(join(folder, DATABASE + LOG), join(folder, MIGRATED + LOG));
    renameSync(join(folder, copy), join(folder, DATABASE));
    syncFolder(folder);
  });
}

/** The copy from before the first migration after `schema`. */
function copyAfter(folder: string, schema: string): string | undefined {
  return readdirSync(folder).find((name) => (COPY.exec(name)?.[1] ?? '') > schema);
}

/** Undefined where there is no data folder of a server. */
function inFolder<Result>(layout: HostLayout, use: (folder: string) => Result): Result | undefined {
  return inFolderBelow(layout.dataDir('server'), [], use);
}
