// Which source delivers when others fail, and once they work again; and packages that the server pushes: over real relays
// and mirrors.
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { nameOf } from '../../lib/blobs/source.ts';
import { offerFeed } from '../../server/packages/offer.ts';
import { sourcesOf } from '../../server/packages/source-finder.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz } from './craft.ts';
import { payload, received, tiers, type Target, type Tiers } from './tiers.ts';

let versions = 0;
const quiet = { onProgress: () => undefined, signal: new AbortController().signal };

/** Pushes a new version to the feed; says how a target acquires it. */
async function release({ feed }: Tiers) {
  const content = tarGz([{ name: 'data', content: randomBytes(600_000) }]);
  const sha256 = createHash('sha256').update(content).digest('hex');
  const version = `2.0.${(versions += 1)}`;
  await feed.push(Readable.from([content]), { id: 'web', version, format: 'tar.gz' }, 'tester');
  const orderFor = async (target: string, push = false) => ({
    ...payload(await sourcesOf(feed, target, sha256, { push })),
    package: { id: 'web', version, sha256, sizeBytes: content.length, format: 'tar.gz' },
  });
  const acquire = async ({ id, packages }: Target) => packages.acquire(await orderFor(id), newId(), quiet);
  return { content, sha256, orderFor, acquire };
}

describe('a target', () => {
  it('goes from its mirrors to those above, those beside, the server, and back', async () => {
    const at = await tiers();
    const sibling = await at.addSibling();
    const target = at.targets[2]!;
    const fetchNext = async () => (await (await release(at)).acquire(target)).from;
    const isBack = (name: string) => {
      const states = target.packages.sourceStates().filter(({ source }) => source.split(' ')[0] === name);
      return states.every(({ demotedAtMs }) => demotedAtMs === 0);
    };
    expect(await fetchNext()).toBe('mirror-pci');
    await at.mirrors['mirror-pci'].stop();
    expect(await fetchNext()).toBe('mirror-eu');
    await at.mirrors['mirror-eu'].stop();
    expect(await fetchNext()).toBe('mirror-dmz');
    await sibling.stop();
    expect(await fetchNext()).toBe('server');
    await at.mirrors['mirror-eu'].start();
    await waitFor(() => isBack('mirror-eu'), { what: 'mirror-eu to be back' });
    expect(await fetchNext()).toBe('mirror-eu');
    await at.mirrors['mirror-pci'].start();
    await waitFor(() => isBack('mirror-pci'), { what: 'mirror-pci to be back' });
    expect(await fetchNext()).toBe('mirror-pci');
  });

  it('is told the order that the explanation has, also of what it has reported', async () => {
    const at = await tiers();
    const target = at.targets[2]!;
    await at.mirrors['mirror-pci'].stop();
    const { acquire, sha256 } = await release(at);
    await acquire(target);
    const sourceStates = target.packages.sourceStates();
    await at.store.transaction((tx) =>
      tx.nodes.recordLastSeen(target.id, { report: { sourceStates }, softwareVersion: '0.2.0' }),
    );
    const [wanted] = await at.store.packages.byDigest(sha256);
    const explained = await at.feed.explain(at.topology.nodes.get(target.id)!, wanted!);
    expect(explained.map(({ source, demoted }) => [nameOf(source), demoted?.code])).toEqual([
      ['mirror-eu', undefined],
      ['server', undefined],
      ['mirror-pci', 'UNREACHABLE'],
    ]);
    const { sources } = await at.feed.sources(target.id, sha256);
    expect(sources).toEqual(explained.map(({ source }) => source));
  });
});

describe('a package that is pushed', () => {
  async function pushing() {
    const at = await tiers();
    const target = at.targets[2]!;
    await at.store.transaction((tx) => tx.nodes.recordLastSeen(target.id, { softwareVersion: '0.2.0' }));
    const over = new AbortController();
    let opened = 0;
    const dial: typeof at.server.mesh.dial = async (options) => {
      const stream = await at.server.mesh.dial({ ...options, path: ['eu', 'eu-pci'] });
      opened += 1;
      return stream;
    };
    const offered = offerFeed(dial, (stream) => at.feed.serve(stream), target.id, over.signal);
    onTestFinished(async () => {
      over.abort();
      await offered;
    });
    return { at, target, opened: () => opened };
  }

  it('arrives over streams that the server opens, and goes on where it stopped', async () => {
    const { at, target, opened } = await pushing();
    // Nothing that the target could fetch from is there.
    await at.mirrors['mirror-pci'].stop();
    await at.mirrors['mirror-eu'].stop();
    const { orderFor, content } = await release(at);
    const order = await orderFor(target.id, true);
    expect(order.sources).toEqual([{ node: '', path: [], url: '', upstream: null, pushed: true }]);
    const before = received(at.pci, 'eu');
    const cut = new AbortController();
    const first = target.packages.acquire(order, newId(), {
      onProgress: ({ receivedBytes }) => {
        if (receivedBytes > 0) cut.abort();
      },
      signal: cut.signal,
    });
    await expect(first).rejects.toMatchObject({ code: 'CANCELLED' });
    const { from, receivedBytes } = await target.packages.acquire(order, newId(), quiet);
    expect([from, receivedBytes]).toEqual(['server', content.length]);
    expect(opened()).toBeGreaterThanOrEqual(2);
    expect(received(at.pci, 'eu') - before).toBeGreaterThanOrEqual(content.length);
  });

  it('is not pushed to a version that does not know how', async () => {
    const { at, target } = await pushing();
    const { orderFor } = await release(at);
    for (const softwareVersion of ['0.1.0', 'unknown']) {
      await at.store.transaction((tx) => tx.nodes.recordLastSeen(target.id, { softwareVersion }));
      await expect(orderFor(target.id, true)).rejects.toMatchObject({ code: 'WIRE_VERSION', hop: target.id });
    }
  });
});
