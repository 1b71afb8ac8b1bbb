// One process per data folder: a second relay or mirror would take the first one's links, a second tentacle start
// scripts that the first has already started. The lock is the operating system's, taken through SQLite on an empty
// file, so that there is no moment between looking and taking, and kill -9 frees it
// (docs/adr/0010-the-lock-of-a-data-folder.md). The file stays: removing it would free a name that somebody may be
// locking. The pid beside it only tells people who holds it.
import { chmodSync, closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { IsthmusError } from '../../contract/errors.ts';

const LOCK_FILE = 'data.lock';
const PID_FILE = 'data.pid';

/** What a locked folder holds beside its own. */
export const LOCK_FILES: readonly string[] = [LOCK_FILE, `${LOCK_FILE}-journal`, PID_FILE];

/**
 * SQLite takes the lock in steps, so of two that begin at once each may stand in the other's way for a moment. Waiting
 * lets one of them through; without it both may be refused. Who really holds the lock keeps it far longer than this.
 */
const CONTENTION_MS = 250;

/** Another process (or somebody else in this one) holds the lock. */
const SQLITE_BUSY = 5;

export interface DataLock {
  /** Idempotent. */
  release(): void;
}

/** Takes the data folder; DATA_DIR_LOCKED with the pid of the process that has it. */
export function lockDataDir(dataDir: string): DataLock {
  const pidFile = join(dataDir, PID_FILE);
  let database: DatabaseSync | undefined;
  try {
    makePrivate(join(dataDir, LOCK_FILE));
    database = new DatabaseSync(join(dataDir, LOCK_FILE), { timeout: CONTENTION_MS });
    // Never committed: the transaction is the lock. Nothing is written, so a full disk does not stand in the way.
    database.exec('begin exclusive');
  } catch (thrown) {
    database?.close();
    throw lockFailure(dataDir, thrown);
  }
  tellHolder(pidFile);
  let held: DatabaseSync | undefined = database;
  return {
    release() {
      if (held === undefined) return;
      rmSync(pidFile, { force: true });
      held.close();
      held = undefined;
    },
  };
}

/**
 * Whoever can read the file can lock it too, and keep its owner out. A file that is there is not opened for this: to
 * close it again would free the lock that this process may have on it.
 */
function makePrivate(file: string): void {
  try {
    closeSync(openSync(file, 'ax', 0o600));
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
    chmodSync(file, 0o600);
  }
}

function tellHolder(pidFile: string): void {
  try {
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch {
    // The lock holds without it.
  }
}

function lockFailure(dataDir: string, thrown: unknown): IsthmusError {
  const code = thrown instanceof Error && 'errcode' in thrown ? Number(thrown.errcode) & 0xff : undefined;
  if (code === SQLITE_BUSY) {
    const holder = readHolder(join(dataDir, PID_FILE));
    return new IsthmusError('DATA_DIR_LOCKED', `${dataDir} is in use by process ${holder}`);
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
