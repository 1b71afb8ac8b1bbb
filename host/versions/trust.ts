// Trusts a release key on a host: its software is taken from then on, also when it comes through the mesh.
import type { KeyObject } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keyFingerprint } from '../../certs/release-keys.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';

/** Puts a key (as `readReleaseKey` reads it) to the trusted ones. */
export async function trustKey({ releaseKeys }: HostLayout, key: KeyObject): Promise<void> {
  await mkdir(releaseKeys, { recursive: true });
  // Whatever the umask: nodes, which run as another account, verify what they fetch.
  for (const folder of [dirname(releaseKeys), releaseKeys]) await chmod(folder, 0o755);
  writeDurably(join(releaseKeys, `${keyFingerprint(key)}.pub`), key.export({ type: 'spki', format: 'pem' }), 0o644);
}
