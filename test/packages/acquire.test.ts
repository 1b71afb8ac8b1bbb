// What lies in a tentacle's cache already: bytes that are right are used, wrong ones are fetched anew.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { Acquirer } from '../../tentacle/packages/acquire.ts';
import { Tars } from '../../tentacle/packages/tars.ts';
import { createTestMesh } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';
import { tempDir } from '../support/temp.ts';
import { startOrigin } from './origin.ts';

const body = randomBytes(400_000);
const sha256 = createHash('sha256').update(body).digest('hex');
const wrong = Buffer.from(body);
wrong[10]! ^= 1;
const whole = join('blobs', sha256.slice(0, 2));

it.each([
  ['whole partial file', 'partial', body, ''],
  ['wrong partial file', 'partial', wrong, 'near'],
  ['package that was cut', whole, body.subarray(0, 9_000), 'near'],
  ['package that was changed', whole, wrong, 'near'],
])('a %s holds nothing up', async (_, folder, left, from) => {
  const mesh = await createTestMesh();
  const self = await mesh.node('tentacle-1', 'tentacle');
  const near = await startOrigin(mesh, 'near', body);
  const packages = await tempDir();
  await mkdir(join(packages, folder), { recursive: true });
  await writeFile(join(packages, folder, sha256), left);
  const blobs = await BlobStore.open(packages);
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  const acquirer = new Acquirer({
    blobs,
    tars: await Tars.open(blobs),
    connect: (source, signal) => connectSource(source, access, signal),
    log: silentLogger(),
    onWrongSource: () => undefined,
  });
  const order = {
    ...{
      id: 'web',
      version: '1.0.0',
      sha256,
      sizeBytes: body.length,
      unpackedBytes: undefined,
      downloadToken: 'p',
      delta: undefined,
    },
    sources: [{ kind: 'mesh', node: 'near', path: [], url: near.url }] as const,
  };
  const acquired = await acquirer.acquire(order, { onProgress: () => undefined, signal: new AbortController().signal });
  expect(acquired).toMatchObject({ from, done: true, cached: false, failed: [] });
  expect(near.requests.length).toBe(from === '' ? 0 : 1);
  expect((await readFile(blobs.pathOf(sha256))).equals(body)).toBe(true);
});
