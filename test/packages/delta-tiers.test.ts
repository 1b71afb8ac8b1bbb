// The second version of a package on its way through two tiers of mirrors: only what changed crosses the links between
// sites, and what needs the file gets the file.
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { newId } from '../../lib/ids.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import { sourcesOf } from '../../server/packages/source-finder.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz } from './craft.ts';
import { bytes, payload, received, tiers, type Target, type Tiers } from './tiers.ts';

const digest = (of: Buffer): string => createHash('sha256').update(of).digest('hex');
const codec = messageCodec(loadDefinitions('isthmus/tentacle/v1/tentacle.proto').isthmus.tentacle.v1.PackagePayload);

/** As the first version, but for a smaller file and a new one. */
const second = tarGz([
  { name: 'app.js', content: 'console.log(2)' },
  { name: 'data', content: gunzipSync(bytes).subarray(1536, 1536 + 3_000_000) },
  { name: 'new', content: randomBytes(5_000) },
]);

/** Pushes the second version, and waits until the server has examined it. */
async function pushSecond({ feed, store }: Tiers): Promise<void> {
  await feed.push(Readable.from([second]), { id: 'web', version: '2.0', format: 'tar.gz' }, 'tester');
  const isExamined = async () => (await store.contents.find(digest(second)))?.tar !== undefined;
  await waitFor(isExamined, { what: 'the examined package' });
}

/** The order for the second version, as a tentacle reads it. */
async function orderFor({ feed }: Tiers, { id }: Target): Promise<PackagePayload__Output> {
  const found = await sourcesOf(feed, id, digest(second));
  return codec.decode(
    codec.encode({
      ...payload(found),
      package: { id: 'web', version: '2.0.0', sha256: digest(second), sizeBytes: second.length, format: 'tar.gz' },
      delta: found.delta ?? null,
    }),
  );
}

async function installSecond(world: Tiers, target: Target): Promise<string> {
  const order = await orderFor(world, target);
  const task = newId();
  const caller = { onProgress: () => undefined, signal: new AbortController().signal };
  const { from } = await target.packages.acquire(order, task, caller);
  const staged = await target.packages.stage(order, task);
  expect(staged.files).toBe(3);
  expect((await target.packages.activate(order, task)).currentVersion).toBe('2.0.0');
  return from;
}

const crossed = ({ server, eu, pci }: Tiers) => ({ eu: received(eu, server.name), pci: received(pci, 'eu') });

describe('the second version', () => {
  it('crosses each link between sites as what changed, once', async () => {
    const world = await tiers();
    for (const each of world.targets) await each.acquire();
    await pushSecond(world);
    const before = crossed(world);
    const from = await Promise.all(world.targets.map((each) => installSecond(world, each)));
    expect(from).toEqual(['mirror-eu', 'mirror-eu', 'mirror-pci', 'mirror-pci']);
    const after = crossed(world);
    // The changed bytes are 5 KB; the rest is reports, questions and their certificates.
    expect(after.eu - before.eu).toBeLessThan(0.05 * second.length);
    expect(after.pci - before.pci).toBeLessThan(0.05 * second.length);
  });
});
