// What a command on the server's own machine does to its data without an API key: on the database itself while the
// server is stopped, else by asking the running server.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Value } from 'typebox/value';
import { NewApiKey, type CreatedApiKey } from '../../contract/api-keys.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { lockDataDir } from '../../lib/files/data-lock.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createApiKey, toApiKeyView } from '../access/api-keys.ts';
import { checkServerFolder } from '../data-folder.ts';
import { DATABASE_FILE } from '../store/sqlite/open.ts';
import { openStore, type Store } from '../store/store.ts';
import { runningServer, type AdminRequests } from './admin-socket.ts';

/** Only names in the data folder. */
const COPY_NAME = /^backup-[0-9a-f]{12}\.db$/;

/** What the server with this store does on request, while it runs and while it is stopped. */
export function adminRequests(dataDir: string, store: Store): AdminRequests {
  return {
    async copy(name) {
      if (!COPY_NAME.test(name)) throw new IsthmusError('INVALID_FIELD', 'this is not the name of a copy');
      await store.copyTo(join(dataDir, name));
      return null;
    },
    async createKey(key) {
      if (!Value.Check(NewApiKey, key)) throw new IsthmusError('INVALID_FIELD', 'a key has a name and a role');
      const creator = { actor: 'system', role: 'admin' } as const;
      const created = await store.transaction((tx) => createApiKey(tx, key, creator));
      return { ...toApiKeyView(created.record), key: created.key };
    },
  };
}

/** Copies the database to a file of this name in the data folder. NOT_INITIALISED when there is none. */
export async function copyDatabase(dataDir: string, name: string): Promise<void> {
  await perform(dataDir, (requests) => requests.copy(name));
}

/** Creates an API key of any role, in the name of the system. NOT_INITIALISED when there is no server in the folder. */
export async function createLocalKey(dataDir: string, key: NewApiKey): Promise<CreatedApiKey> {
  return perform(dataDir, (requests) => requests.createKey(key));
}

async function perform<Result>(dataDir: string, work: (requests: AdminRequests) => Promise<Result>): Promise<Result> {
  await stat(join(dataDir, DATABASE_FILE)).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'EACCES') throw new IsthmusError('DATA_DIR_UNUSABLE', `${dataDir} may not be read`, { cause });
    throw new IsthmusError('NOT_INITIALISED', `there is no server in ${dataDir}`, {
      remedy: 'Give the data folder of the server, on its machine.',
      cause,
    });
  });
  checkServerFolder(dataDir);
  let lock;
  try {
    lock = lockDataDir(dataDir);
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError) || thrown.code !== 'DATA_DIR_LOCKED') throw thrown;
    return work(runningServer(dataDir)).catch((asking: unknown) => {
      // Without a socket, the process that holds the folder is not a server to ask.
      throw asking instanceof IsthmusError ? asking : thrown;
    });
  }
  try {
    const store = await openStore({ dataDir, log: silentLogger() });
    return await work(adminRequests(dataDir, store)).finally(() => store.close());
  } finally {
    lock.unlock();
  }
}
