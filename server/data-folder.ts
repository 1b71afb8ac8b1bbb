// The secrets in a server's data folder. Whatever opens that folder checks it first.
import { IDENTITY_SECRETS } from '../certs/identity.ts';
import { blobEntries } from '../lib/blobs/blob-store.ts';
import { checkDataDir } from '../lib/files/private.ts';

const SECRETS = ['admin.key', 'authority/authority.key.sealed', 'isthmus.db', 'isthmus.db-wal', 'master.key'];

/** As `checkDataDir`, with the secrets of a server. */
export function checkServerFolder(dataDir: string): void {
  checkDataDir(dataDir, [...IDENTITY_SECRETS, ...SECRETS], { deeper: blobEntries('packages') });
}
