// The database of a server that goes back to a version with an older schema: the copy that the newer one made before its
// migration comes back, and the migrated database stays beside it. The folder is another account's, so that every name
// in it is renamed in the open folder.
import { lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Type, type Static } from 'typebox';
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

/** The copies in the data folder of a server: their names, and when each was written, in milliseconds since 1970. */
export const DatabaseCopies = Type.Record(Type.String(), Type.Number());
export type DatabaseCopies = Static<typeof DatabaseCopies>;

/** The copies that are there now. */
export function databaseCopies(layout: HostLayout): DatabaseCopies {
  return inFolder(layout, copiesIn) ?? {};
}

/**
 * Whether the server of this host has made a copy of its database since there were the copies `before`, ahead of a
 * migration that the software does not know.
 */
export function isMigrated(layout: HostLayout, software: Software, before: DatabaseCopies): boolean {
  return inFolder(layout, (folder) => newCopy(folder, software, before) !== undefined) ?? false;
}

/**
 * Puts that copy in the place of the database, once its server has stopped. Can be repeated at any moment; where there
 * is no such copy, it changes nothing.
 */
export function putBackDatabase(layout: HostLayout, software: Software, before: DatabaseCopies): void {
  inFolder(layout, (folder) => {
    const copy = newCopy(folder, software, before);
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

/** One that an operator or an earlier change has left there is of another database than this change began with. */
function newCopy(folder: string, { schema }: Software, before: DatabaseCopies): string | undefined {
  const copies = Object.entries(copiesIn(folder));
  const found = copies.find(([name, at]) => before[name] !== at && (COPY.exec(name)?.[1] ?? '') > schema);
  return found?.[0];
}

function copiesIn(folder: string): DatabaseCopies {
  const names = readdirSync(folder).filter((name) => COPY.test(name));
  return Object.fromEntries(names.map((name) => [name, lstatSync(join(folder, name)).mtimeMs]));
}

/** Undefined where there is no data folder of a server. */
function inFolder<Result>(layout: HostLayout, use: (folder: string) => Result): Result | undefined {
  return inFolderBelow(layout.dataDir('server'), [], use);
}
