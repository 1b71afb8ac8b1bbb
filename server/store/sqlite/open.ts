// Opens the database file of a data folder exclusively for this process.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { IsthmusError } from '../../../contract/errors.ts';

export const DATABASE_FILE = 'isthmus.db';
const PID_FILE = 'server.pid';

/** Another process (or another store in this one) holds the exclusive lock. */
const SQLITE_BUSY = 5;
/** The file is damaged, or not a database. */
const DAMAGED: readonly number[] = [11, 26];

/**
 * Opens `<dataDir>/isthmus.db` with an exclusive lock, before anything is written. The lock is the operating system's,
 * so `kill -9` frees it; the pid file only shows who holds it.
 */
export function openDatabase(dataDir: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(dataDir, DATABASE_FILE), { timeout: 0 });
    // EXCLUSIVE must come before WAL: only then is the lock kept, and the wal-index stays in memory.
    database.exec('pragma locking_mode = EXCLUSIVE; pragma journal_mode = WAL; begin exclusive; commit');
    database.exec('pragma synchronous = FULL; pragma foreign_keys = ON');
    writeFileSync(join(dataDir, PID_FILE), `${process.pid}\n`, { mode: 0o600 });
    return database;
  } catch (thrown) {
    database?.close();
    throw openFailure(dataDir, thrown);
  }
}

/** Removes the pid file when a store is closed. */
export function removePidFile(dataDir: string): void {
  rmSync(join(dataDir, PID_FILE), { force: true });
}

function openFailure(dataDir: string, thrown: unknown): IsthmusError {
  const code = thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined;
  if (code === SQLITE_BUSY) return locked(dataDir);
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new IsthmusError('DATA_DIR_UNUSABLE', `the database in ${dataDir} cannot be opened: ${reason}`, {
    cause: thrown,
    ...(code !== undefined && DAMAGED.includes(code) ? { remedy: 'The file is damaged: restore a backup.' } : {}),
  });
}

function locked(dataDir: string): IsthmusError {
  const holder = readHolder(join(dataDir, PID_FILE));
  return new IsthmusError('DATA_DIR_LOCKED', `${dataDir} is in use by process ${holder}`, {
    remedy: `Stop process ${holder}, or start this one with another data folder.`,
  });
}

function readHolder(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim();
  } catch {
    return '(unknown)';
  }
}
