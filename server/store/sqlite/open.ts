// Opens the database file of a data folder for one connection.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { IsthmusError } from '../../../contract/errors.ts';
import { createPrivate } from '../../../lib/files/private.ts';

export const DATABASE_FILE = 'isthmus.db';

/** Another process, or another store in this one, has it open. */
const SQLITE_BUSY = 5;
/** The file is damaged, or not a database. */
const DAMAGED: readonly number[] = [11, 26];

/** Opens `<dataDir>/isthmus.db` for this connection alone; DATA_DIR_LOCKED when another one has it open. */
export function openDatabase(dataDir: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    createPrivate(join(dataDir, DATABASE_FILE));
    database = new DatabaseSync(join(dataDir, DATABASE_FILE), { timeout: 0 });
    // EXCLUSIVE must come before WAL: only then is the lock kept, and the wal-index stays in memory.
    database.exec('pragma locking_mode = EXCLUSIVE; pragma journal_mode = WAL; begin exclusive; commit');
    database.exec('pragma synchronous = FULL; pragma foreign_keys = ON');
    return database;
  } catch (thrown) {
    database?.close();
    throw openFailure(dataDir, thrown);
  }
}

function openFailure(dataDir: string, thrown: unknown): IsthmusError {
  const code = thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined;
  if (code === SQLITE_BUSY) {
    return new IsthmusError('DATA_DIR_LOCKED', `the database in ${dataDir} is in use by another process`);
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new IsthmusError('DATA_DIR_UNUSABLE', `the database in ${dataDir} cannot be opened: ${reason}`, {
    cause: thrown,
    ...(code !== undefined && DAMAGED.includes(code) ? { remedy: 'The file is damaged: restore a backup.' } : {}),
  });
}
