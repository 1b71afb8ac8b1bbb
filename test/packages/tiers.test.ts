// Two tiers of mirrors behind two real relays: a package crosses each link between sites once on its path from the feed
// to four targets, and still arrives when the server, a mirror or a link is gone.
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createSigner } from '../../certs/signer.ts';
import { newId } from '../../lib/ids.ts';
import { sourcesOf } from '../../server/packages/source-finder.ts';
import { createTestMesh } from '../support/identities.ts';
import { tarGz } from './craft.ts';
import { bytes, noise, payload, received, sha256, tiers } from './tiers.ts';

describe('two tiers of mirrors', () => {
  it('a package crosses each link between sites once', async () => {
    const { server, eu, pci, targets } = await tiers();
    const before = { eu: received(eu, 'server-1'), pci: received(pci, 'eu') };
    const outcomes = await Promise.all(targets.map((each) => each.acquire()));
    expect(outcomes.map(({ from, failed }) => [from, failed])).toEqual([
      ['mirror-eu', []], ['mirror-eu', []], ['mirror-pci', []], ['mirror-pci', []],
    ]); // prettier-ignore
    for (const each of targets) {
      const order = payload({ sources: [], downloadToken: '' });
      const task = newId();
      await each.packages.stage(order, task);
      expect((await each.packages.activate(order, task)).currentVersion).toBe('1.0.0');
    }
    const crossed = { eu: received(eu, server.name) - before.eu, pci: received(pci, 'eu') - before.pci };
    for (const each of Object.values(crossed)) {
      expect(each).toBeGreaterThanOrEqual(bytes.length);
      expect(each).toBeLessThan(bytes.length + noise);
    }
    // Targets of the site with an open port used that port, not the relay.
    const throughRelay = eu.mesh.links().find((link) => link.peer === 't-eu-1')?.bytesOut ?? 0;
    expect(throughRelay).toBeLessThan(noise);
  });

  it('goes past a mirror that is gone, and past all of them', async () => {
    const { targets, mirrors } = await tiers();
    await mirrors['mirror-pci'].stop();
    const one = await targets[2]!.acquire();
    expect([one.from, one.failed.map(({ node }) => node)]).toEqual(['mirror-eu', ['mirror-pci']]);
    await mirrors['mirror-eu'].stop();
    const two = await targets[3]!.acquire();
    expect([two.from, two.failed.map(({ node }) => node)]).toEqual(['server', ['mirror-pci', 'mirror-eu']]);
  });

  it('delivers what is below it while the server is down', async () => {
    const { server, store, feed, targets, mirrors } = await tiers();
    await targets[0]!.acquire();
    const other = tarGz([{ name: 'warm', content: randomBytes(1000) }]);
    await feed.push(Readable.from([other]), { id: 'other', version: '1.0', format: 'tar.gz' }, 'tester');
    // The lower mirror has asked the server once, and so knows sources, but has not asked for this package yet.
    const warm = createHash('sha256').update(other).digest('hex');
    const found = await sourcesOf(feed, 't-pci-2', warm);
    const order = {
      ...payload(found),
      package: { id: 'other', version: '1.0.0', sha256: warm, sizeBytes: other.length, format: 'tar.gz' },
    };
    await targets[3]!.packages.acquire(order, newId(), {
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
    const sources = await sourcesOf(feed, 't-pci-1', sha256);
    await server.mesh.stop();
    const outcome = await targets[2]!.packages.acquire(payload(sources), newId(), {
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
    expect(outcome.from).toBe('mirror-pci');
    expect((await store.packages.byDigest(sha256)).length).toBe(1);
    await mirrors['mirror-pci'].stop();
  });

  it('gives nothing to who has no download token, another’s, or one for something else', async () => {
    const { authority, feed, store, targets } = await tiers();
    const good = await sourcesOf(feed, 't-pci-1', sha256);
    const foreign = createSigner((await createTestMesh()).authority, 'server-1');
    const expiresAtMs = Date.now() + 60_000;
    const wrongTokens = {
      none: 'x',
      foreign: foreign.signDownloadToken({
        sha256,
        sizeBytes: bytes.length,
        site: 'eu-pci',
        node: 't-pci-1',
        expiresAtMs,
      }),
      expired: createSigner(authority.authority, 'server-1').signDownloadToken({
        sha256,
        sizeBytes: bytes.length,
        site: 'eu-pci',
        node: 't-pci-1',
        expiresAtMs: 1,
      }),
      another: (await sourcesOf(feed, 't-eu-1', sha256)).downloadToken,
      'a neighbour’s': (await sourcesOf(feed, 't-pci-2', sha256)).downloadToken,
    };
    const server = good.sources.filter(({ node }) => node === 'server');
    for (const [name, downloadToken] of Object.entries(wrongTokens)) {
      const order = payload({ sources: good.sources, downloadToken });
      const rejected = targets[2]!.packages.acquire(order, newId(), {
        onProgress: () => undefined,
        signal: new AbortController().signal,
      });
      await expect(rejected, name).rejects.toMatchObject({
        code: 'PACKAGE_UNAVAILABLE',
        message: expect.stringContaining('FORBIDDEN') as string,
      });
    }
    const unknown = {
      ...payload({ sources: server, downloadToken: good.downloadToken }),
      package: { id: 'web', version: '2.0', sha256: 'a'.repeat(64), sizeBytes: 5, format: 'zip' },
    };
    const missing = targets[2]!.packages.acquire(unknown, newId(), {
      onProgress: () => undefined,
      signal: new AbortController().signal,
    });
    await expect(missing).rejects.toMatchObject({ message: expect.stringContaining('FORBIDDEN') as string });
    await expect(feed.sources('t-pci-1', 'a'.repeat(64))).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(feed.sources('nobody', sha256)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await expect(feed.sources('t-pci-1', sha256, { roles: ['mirror'] })).rejects.toMatchObject({ code: 'FORBIDDEN' });
    const events = await store.denials.list({ type: 'download.denied', limit: 50 });
    expect(events.items.map(({ actor }) => actor).sort()).toEqual(['nobody', 't-pci-1']);
  });
});
