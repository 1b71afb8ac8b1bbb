// Locks a data folder for one process: a second relay or mirror would take over the first one's links, a second tentacle
// would start scripts again. The lock is the operating system's, taken atomically through SQLite on an empty file, and
// kill -9 frees it (docs/adr/0010-the-lock-of-a-data-folder.md). The file is never removed, because another process may
// be locking it. The pid beside it is only for messages.
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { IsthmusError } from '../../contract/errors.ts';
import { createPrivate } from './private.ts';

const LOCK_FILE = 'data.lock';
const PID_FILE = 'data.pid';

/** The files of the lock in a data folder. */
export const LOCK_FILES: readonly string[] = [LOCK_FILE, `${LOCK_FILE}-journal`, PID_FILE];

/**
 * SQLite takes the lock in steps, so two processes that start at once may block each other for a moment. With a short
 * wait one of them succeeds; without it both could fail. A real holder keeps the lock far longer than this.
 */
const CONTENTION_MS = 250;

/** Another process, or another holder in this one, has the lock. */
const SQLITE_BUSY = 5;
/** No room: SQLite begins a journal beside the file. */
const SQLITE_FULL = 13;
/** The file holds something else. */
const SQLITE_NOTADB = 26;

export interface DataLock {
  /** Idempotent. */
  unlock(): void;
}

/** Locks the data folder; DATA_DIR_LOCKED, with the pid of its holder, when it is locked already. */
export function lockDataDir(dataDir: string): DataLock {
  const pidFile = join(dataDir, PID_FILE);
  let database: DatabaseSync | undefined;
  try {
    // Anyone who can read the file can also lock it and keep its owner out. An existing file is not opened: closing it
    // would free a lock that this process may hold on it.
    createPrivate(join(dataDir, LOCK_FILE));
    chmodSync(join(dataDir, LOCK_FILE), 0o600);
    database = new DatabaseSync(join(dataDir, LOCK_FILE), { timeout: CONTENTION_MS });
    // The open transaction is the lock; it is never committed.
    database.exec('begin exclusive');
  } catch (thrown) {
    database?.close();
    throw lockFailure(dataDir, thrown);
  }
  writeHolder(pidFile);
  let held: DatabaseSync | undefined = database;
  return {
    unlock() {
      if (held === undefined) return;
      rmSync(pidFile, { force: true });
      held.close();
      held = undefined;
    },
  };
}

/** DATA_DIR_LOCKED when another process has locked the folder. Creates nothing. */
export function checkUnlocked(dataDir: string): void {
  if (existsSync(join(dataDir, LOCK_FILE))) lockDataDir(dataDir).unlock();
}

function writeHolder(pidFile: string): void {
  try {
    rmSync(pidFile, { force: true });
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600, flag: 'wx' });
  } catch {
    // The lock works without it.
  }
}

function lockFailure(dataDir: string, thrown: unknown): IsthmusError {
  const code = thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined;
  if (code === SQLITE_BUSY) {
    const holder = readHolder(join(dataDir, PID_FILE));
    return new IsthmusError('DATA_DIR_LOCKED', `${dataDir} is in use by process ${holder}`);
  }
  if (code === SQLITE_FULL) return new IsthmusError('DISK_FULL', `the disk of ${dataDir} is full`, { cause: thrown });
  if (code === SQLITE_NOTADB) {
    const remedy = 'The file is damaged. It holds no data: delete it while nothing runs on the folder.';
    const message = `${join(dataDir, LOCK_FILE)} is not the file of a lock`;
    return new IsthmusError('DATA_DIR_UNUSABLE', message, { remedy, cause: thrown });
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new IsthmusError('DATA_DIR_UNUSABLE', `${dataDir} cannot be locked: ${reason}`, { cause: thrown });
}

function readHolder(pidFile: string): string {
  try {
    return readFileSync(pidFile, 'utf8').trim() || '(unknown)';
  } catch {
    return '(unknown)';
  }
}
