// What the server tells mirrors to keep, and what it asks of their caches.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { pinVersion, unpinVersion } from '../../server/mirrors/pins.ts';
import { protectionByMirror, startProtection } from '../../server/mirrors/protection.ts';
import { CacheEvents } from '../../server/topology/reports/cache-events.ts';
import { bytes, sha256 } from '../packages/tiers.ts';
import { waitFor } from '../support/wait.ts';
import { startWarmSite, type WarmSite } from './site.ts';

const actor = 'key-1';

/** Machines of a site fetch from its mirror. */
const mirrorsOf = (machine: string) => [machine.startsWith('t-pci') ? 'mirror-pci' : 'mirror-eu'];

async function activated(site: WarmSite, machine: string, version: string, digest: string): Promise<void> {
  await site.store.transaction(async (tx) => {
    const release = await tx.releases.findVersion('shop', version);
    const at = { machine, project: 'shop', environment: 'production', step: 'web' };
    await tx.installed.activated({ ...at, release: release!.id, version, sha256: digest, activatedAt: 1 });
    await tx.installed.succeeded(at, 2);
  });
}

describe('a mirror keeps', () => {
  it('what its machines have, what they had before, what people pinned, and what open deployments need', async () => {
    const site = await startWarmSite(['t-eu-1', 't-pci-1']);
    const { store } = site;
    const told = () => protectionByMirror({ store, mirrorsOf });
    expect([...(await told())]).toEqual([]);
    await activated(site, 't-eu-1', '1.0.0', sha256);
    expect((await told()).get('mirror-eu')).toEqual({ pins: [sha256], leases: [] });
    const other = 'b'.repeat(64);
    await store.transaction(async (tx) => {
      const release = await tx.releases.findVersion('shop', '1.0.0');
      await tx.releases.insert({ ...release!, id: 'next', version: '2.0.0', versionKey: '2.0.0', packages: [] });
    });
    await activated(site, 't-eu-1', '2.0.0', other);
    // The one before is pinned, too, and is the first to go.
    expect((await told()).get('mirror-eu')).toEqual({ pins: [other, sha256], leases: [] });
    const pin = { mirror: 'mirror-pci', package: 'web', version: '1.0.0' };
    await store.transaction((tx) => pinVersion(tx, pin, actor));
    await store.transaction((tx) => pinVersion(tx, pin, actor));
    expect((await told()).get('mirror-pci')).toEqual({ pins: [sha256], leases: [] });
    await store.transaction((tx) => unpinVersion(tx, pin, actor));
    await expect(store.transaction((tx) => unpinVersion(tx, pin, actor))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { items } = await store.events.list({ subject: 'mirror-pci', type: 'mirror.pinned', limit: 10 });
    expect(items).toHaveLength(1);
    await store.transaction(async (tx) => {
      const release = await tx.releases.findVersion('shop', '1.0.0');
      await tx.tasks.insert({
        ...{ id: 'task-1', kind: 'deployment', title: '', payload: {}, concurrencyKey: null, deadlineS: 60 },
        ...{ project: 'shop', environment: 'production', createdBy: actor, createdAt: 1 },
      });
      const deployment = { id: 'd', project: 'shop', version: '1.0.0', environment: 'production', createdAt: 1 };
      await tx.deployments.insert({ ...deployment, release: release!.id, task: 'task-1' });
    });
    expect((await told()).get('mirror-pci')).toEqual({ pins: [], leases: [{ sha256, task: 'task-1', forS: 900 }] });
  });

  it('what the server told it, which its list shows, and is asked to digest and to collect', async () => {
    const site = await startWarmSite(['t-eu-1']);
    const { store, mesh: mirrors } = site;
    await activated(site, 't-eu-1', '1.0.0', sha256);
    const stop = startProtection({ store, mirrors, mirrorsOf, log: silentLogger() });
    onTestFinished(stop);
    await site.ended(await site.warm());
    const pin = { mirror: 'mirror-eu', package: 'web', version: '1.0' };
    await store.transaction((tx) => pinVersion(tx, pin, actor));
    await waitFor(async () => (await mirrors.list('mirror-eu', { limit: 10 })).packages[0]?.pinned === true);
    const target = site.targets.find(({ id }) => id === 't-eu-1')!;
    await target.acquire();
    expect(await mirrors.status('mirror-eu')).toMatchObject({
      ...{ full: false, pinned: 1, leased: 0, packages: 1 },
      counters: { hits: 1, fetches: 0, bytesIn: bytes.length, bytesOut: bytes.length, damaged: 0 },
    });
    expect(await mirrors.verify('mirror-eu', false)).toEqual({ checked: 1, damaged: [] });
    expect(await mirrors.collect('mirror-eu', true)).toEqual({ removed: [] });
    const folder = site.folderOf('mirror-eu');
    await writeFile(join(folder, 'blobs', sha256.slice(0, 2), sha256), Buffer.alloc(bytes.length));
    expect(await mirrors.verify('mirror-eu', true)).toEqual({ checked: 1, damaged: [{ sha256, repaired: true }] });
    expect(await mirrors.collect('mirror-eu', false)).toMatchObject({ removed: [{ sha256, what: 'damaged' }] });
    expect(await mirrors.collect('mirror-eu', false)).toEqual({ removed: [] });
  });
});

it('a mirror of an earlier version is not asked, and says so', async () => {
  const site = await startWarmSite(['t-eu-1']);
  const outdated = { ...site.topology.nodes.get('mirror-eu')!, softwareVersion: '0.1.0' };
  site.topology.apply({ nodes: [outdated], routes: new Map() });
  const error = { code: 'MIRROR_UNSUPPORTED', hop: 'mirror-eu' };
  await expect(site.mesh.verify('mirror-eu', true)).rejects.toMatchObject(error);
  await expect(site.mesh.collect('mirror-eu', true)).rejects.toMatchObject(error);
  expect(site.mesh.answering()).not.toContain('mirror-eu');
});

it('a full cache and damage are events, each once, and only of mirrors', async () => {
  const { store } = await startWarmSite(['t-eu-1']);
  const events = new CacheEvents();
  const report = (cache: { full: boolean; damaged: number }, role: 'mirror' | 'relay' = 'mirror') =>
    store.transaction(async (tx) => {
      await events.record(tx, { node: 'mirror-eu', role }, cache);
      await tx.nodes.recordLastSeen('mirror-eu', { report: { cache } });
    });
  await report({ full: false, damaged: 0 });
  await report({ full: true, damaged: 0 }, 'relay');
  await report({ full: false, damaged: 0 });
  for (let again = 0; again < 3; again += 1) await report({ full: true, damaged: 2 });
  await report({ full: false, damaged: 2 });
  const { items } = await store.events.list({ subject: 'mirror-eu', limit: 100 });
  const written = items.filter(({ type }) => type.startsWith('mirror.')).map(({ type, data }) => [type, data]);
  // After the report as a relay the cache was known to be full.
  expect(written).toEqual([
    ['mirror.cache-freed', {}],
    ['mirror.cache-filled', {}],
    ['mirror.damage-found', { packages: 2 }],
    ['mirror.cache-freed', {}],
  ]);
});
