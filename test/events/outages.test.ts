// Links and nodes that go and come are events: one for each loss and return, of the topmost loss only.
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { openLiveTopology } from '../../server/topology/live.ts';
import { OutageRecorder } from '../../server/topology/outages.ts';
import { tempDir } from '../support/temp.ts';
import { ownLink } from '../support/topology.ts';

/** server - eu - web-1, with a recorder whose clock the test moves. */
async function mesh() {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  const below = (node: string) => [{ node, dialAddress: null }];
  await store.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt: 1 });
  await store.transaction(async (tx) => {
    const node = { site: 'eu', createdAt: 1 };
    await tx.nodes.insert({ ...node, id: 'eu', role: 'relay', parents: below('server') });
    await tx.nodes.insert({ ...node, id: 'web-1', role: 'tentacle', parents: below('eu') });
  });
  const topology = await openLiveTopology(store);
  const link = (up: boolean): void => {
    topology.followLinks({ links: () => [ownLink('eu', { up })], onLinksChanged: () => () => undefined });
  };
  link(true);
  let nowMs = 0;
  const clocks = { wall: () => 1_000_000 + nowMs, monotonic: () => nowMs };
  const report = (up: boolean) =>
    store.transaction((tx) =>
      tx.nodes.recordLastSeen('eu', {
        report: { links: [{ peer: 'web-1', relation: 'child', up, dialledBy: 'peer' }] },
        lastSeenAt: Date.now(),
      }),
    );
  await report(true);
  let recorder = new OutageRecorder({ store, topology, clocks });
  return {
    report,
    /** Sets the server's link to eu. */
    link,
    async advance(seconds: number) {
      for (let at = 0; at < seconds; at += 1) {
        nowMs += 1_000;
        await recorder.look();
      }
    },
    restart() {
      recorder = new OutageRecorder({ store, topology, clocks });
    },
    events: () => outageEvents(store),
    store,
  };
}

async function outageEvents(store: Store): Promise<string[]> {
  const { items } = await store.events.list({ limit: 100 });
  const types = ['link.lost', 'link.restored', 'node.lost', 'node.restored'];
  return items.filter(({ type }) => types.includes(type)).map(({ type, subject }) => `${type} ${subject}`);
}

it('has one pair for a relay that died, and none for what is behind it', async () => {
  const { link, advance, events, store } = await mesh();
  await advance(40);
  expect(await events()).toEqual([]);
  link(false);
  await advance(20);
  const lost = ['link.lost server>eu', 'node.lost eu'];
  expect(await events()).toEqual(lost);
  link(true);
  await advance(20);
  expect(await events()).toEqual([...lost, 'link.restored server>eu', 'node.restored eu']);
  const { items } = await store.events.list({ limit: 100, type: 'link.restored' });
  expect(items).toMatchObject([{ actor: 'system', data: { from: 'server', to: 'eu', downMs: 20_000 } }]);
});

it('has none for a short loss, and one pair a minute for a link that comes and goes', async () => {
  const { link, advance, events } = await mesh();
  await advance(40);
  link(false);
  await advance(4);
  link(true);
  await advance(10);
  expect(await events()).toEqual([]);
  for (let n = 0; n < 3; n += 1) {
    link(false);
    await advance(8);
    link(true);
    await advance(8);
  }
  expect(await events()).toHaveLength(4);
});

it('goes on across a restart, which loses nothing by itself', async () => {
  const { report, advance, events, link, restart } = await mesh();
  await advance(40);
  await report(false);
  await advance(10);
  const lost = ['link.lost eu>web-1', 'node.lost web-1'];
  expect(await events()).toEqual(lost);
  restart();
  link(false);
  await advance(20);
  link(true);
  await advance(20);
  expect(await events()).toEqual(lost);
  await report(true);
  await advance(10);
  expect(await events()).toEqual([...lost, 'link.restored eu>web-1', 'node.restored web-1']);
});

it('forgets a node that is revoked while it is lost', async () => {
  const { report, advance, events, store } = await mesh();
  await advance(40);
  await report(false);
  await advance(10);
  await store.transaction((tx) => tx.nodes.revoke('web-1', 1));
  await advance(10);
  expect(await store.outages.all()).toEqual([]);
  expect(await events()).toHaveLength(2);
});
