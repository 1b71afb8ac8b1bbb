// Trusts a release key on a host: its software is taken from then on, also when it comes through the mesh.
import { chmod, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { keyFingerprint, readReleaseKey } from '../../certs/release-keys.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import type { HostLayout } from '../layout.ts';

/** Copies the public key in a file to the trusted ones; answers its SHA-256. CONFIG_INVALID when it is no such key. */
export async function trustKey({ releaseKeys }: HostLayout, file: string): Promise<string> {
  const key = await readReleaseKey(file);
  const fingerprint = keyFingerprint(key);
  await mkdir(releaseKeys, { recursive: true });
  // Whatever the umask: nodes, which run as another account, verify what they fetch.
  for (const folder of [dirname(releaseKeys), releaseKeys]) await chmod(folder, 0o755);
  writeDurably(join(releaseKeys, `${fingerprint}.pub`), key.export({ type: 'spki', format: 'pem' }), 0o644);
  return fingerprint;
}
