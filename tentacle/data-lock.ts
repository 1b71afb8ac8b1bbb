// One tentacle per data folder: a second one would start scripts that the first has already started. The lock names a
// process that can be told from a later one with the same pid, so that kill -9 frees it.
import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../lib/errors.ts';
import { diskError } from './disk-errors.ts';
import type { ProcessIdentity } from './journal/records.ts';
import { identify, isAlive } from './scripts/process.ts';

export interface DataLock {
  release(): Promise<void>;
}

/** Takes the data folder; DATA_DIR_LOCKED with the pid of the process that has it. */
export async function lockDataDir(dataDir: string): Promise<DataLock> {
  const path = join(dataDir, 'tentacle.lock');
  const own = JSON.stringify(identify(process.pid));
  for (;;) {
    const file = await open(path, 'wx', 0o600).catch(unlessThere);
    if (file !== undefined) {
      await file.writeFile(own);
      await file.close();
      return { release: () => rm(path, { force: true }) };
    }
    const holder = parse(await readFile(path, 'utf8').catch(() => ''));
    if (holder !== undefined && isAlive(holder)) {
      throw new IsthmusError('DATA_DIR_LOCKED', `${dataDir} is in use by process ${holder.pid}`);
    }
    await rm(path, { force: true });
  }
}

function parse(text: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(text) as ProcessIdentity;
  } catch {
    // Its writer was killed between making and filling it.
    return undefined;
  }
}

function unlessThere(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined;
  throw diskError(error, 'the data folder cannot be locked');
}
