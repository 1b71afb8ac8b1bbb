// Two tiers of mirrors behind two real relays, with two targets at each site, and one package in the feed.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createSigner, verifyDownloadToken } from '../../certs/signer.ts';
import { newId } from '../../lib/ids.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { PushedStreams } from '../../node/sources/pushed.ts';
import { start as startMirror } from '../../mirror/start.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import { createFeed, type Feed } from '../../server/packages/feed.ts';
import { sourcesFinder, sourcesOf } from '../../server/packages/source-finder.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { openLiveTopology, type LiveTopology } from '../../server/topology/live.ts';
import { WatchService } from '../../server/topology/watch.ts';
import { createPackages, type Packages } from '../../tentacle/packages/packages.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { tarGz } from './craft.ts';
import { NO_FILE_RULES, NOWHERE_ELSE } from './orders.ts';

export const bytes = tarGz([
  { name: 'app.js', content: 'console.log(1)' },
  { name: 'data', content: randomBytes(3_000_000) },
]);
export const sha256 = createHash('sha256').update(bytes).digest('hex');
export const noise = bytes.length * 0.2;

export interface Target {
  readonly id: string;
  readonly packages: Packages;
  acquire(): ReturnType<Packages['acquire']>;
}

export interface Tiers {
  readonly authority: TestMesh;
  readonly server: StartedNode;
  readonly eu: StartedNode;
  readonly pci: StartedNode;
  readonly store: Store;
  readonly feed: Feed;
  readonly topology: LiveTopology;
  readonly targets: readonly Target[];
  readonly mirrors: Readonly<Record<'mirror-eu' | 'mirror-pci', RunningMirror>>;
  /** Starts a relay and a mirror beside eu-pci. */
  addSibling(): Promise<RunningMirror>;
}

export interface RunningMirror {
  readonly dataDir: string;
  stop(): Promise<void>;
  /** After it was stopped. */
  start(): Promise<void>;
}

export async function tiers(): Promise<Tiers> {
  const authority = await createTestMesh();
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  for (const site of ['eu', 'eu-pci', 'eu-dmz']) await addSite(store, site);
  const signer = createSigner(authority.authority, 'server-1');
  const { authorityPem, meshId } = authority;
  const topology = await openLiveTopology(store);
  const feed = await createFeed({
    ...{ store, topology, dataDir: await tempDir(), log: silentLogger() },
    signDownloadToken: (downloadToken) => signer.signDownloadToken(downloadToken),
    verifyDownloadToken: (downloadToken, asked) => verifyDownloadToken(downloadToken, { authorityPem, meshId }, asked),
  });
  onTestFinished(() => feed.stop());
  const server = await startNode(authority, 'server-1', 'server');
  const watch = new WatchService({
    store,
    log: silentLogger(),
    findSources: sourcesFinder(feed),
    onHealth: () => undefined,
    denials: server.mesh.denials,
  });
  onTestFinished(() => watch.stop());
  server.mesh.listen('topology', (stream) => watch.accept(stream));
  server.mesh.listen('feed', (stream) => feed.serve(stream));

  const eu = await startNode(authority, 'eu', 'relay', {
    parents: [{ node: 'server-1', address: server.mesh.address! }],
  });
  const pci = await startNode(authority, 'eu-pci', 'relay', { parents: [{ node: 'eu', address: eu.mesh.address! }] });
  await linked(server, eu);
  await linked(eu, pci);
  await addNodes(store);
  const mirrors = {
    'mirror-eu': await mirror(authority, 'mirror-eu', 'eu', eu, { feedListen: '127.0.0.1:0' }),
    'mirror-pci': await mirror(authority, 'mirror-pci', 'eu-pci', pci),
  };
  const targets = await Promise.all([
    target(authority, feed, 't-eu-1', eu), target(authority, feed, 't-eu-2', eu),
    target(authority, feed, 't-pci-1', pci), target(authority, feed, 't-pci-2', pci),
  ]); // prettier-ignore
  await waitFor(async () => ((await store.nodes.get('mirror-eu')).feedUrl ?? '') !== '', {
    what: 'the report of mirror-eu',
  });
  await feed.push(Readable.from([bytes]), { id: 'web', version: '1.0', format: 'tar.gz' }, 'tester');
  const addSibling = async (): Promise<RunningMirror> => {
    const dmz = await startNode(authority, 'eu-dmz', 'relay', {
      parents: [{ node: 'eu', address: eu.mesh.address! }],
    });
    await linked(eu, dmz);
    await addNode(store, 'eu-dmz', { role: 'relay', parent: 'eu', site: 'eu-dmz' });
    await addNode(store, 'mirror-dmz', { role: 'mirror', parent: 'eu-dmz', site: 'eu-dmz' });
    return mirror(authority, 'mirror-dmz', 'eu-dmz', dmz);
  };
  return { authority, server, eu, pci, store, feed, topology, targets, mirrors, addSibling };
}

async function addSite(store: Store, id: string): Promise<void> {
  await store.sites.insert({ id, name: id, description: '', createdAt: 0 });
}

interface NewNode {
  readonly role: 'relay' | 'mirror' | 'tentacle' | 'server';
  readonly parent: string | null;
  readonly site: string | null;
}

async function addNode(store: Store, id: string, { role, parent, site }: NewNode): Promise<void> {
  const parents = parent === null ? [] : [{ node: parent, dialAddress: null }];
  await store.transaction((tx) => tx.nodes.insert({ id, role, site, createdAt: 0, parents }));
}

async function addNodes(store: Store): Promise<void> {
  const add = (id: string, role: NewNode['role'], parent: string | null, site: string | null) =>
    addNode(store, id, { role, parent, site });
  await add('server-1', 'server', null, null);
  await add('eu', 'relay', 'server', 'eu');
  await add('eu-pci', 'relay', 'eu', 'eu-pci');
  for (const id of ['mirror-eu', 't-eu-1', 't-eu-2'])
    await add(id, id.startsWith('m') ? 'mirror' : 'tentacle', 'eu', 'eu');
  for (const id of ['mirror-pci', 't-pci-1', 't-pci-2'])
    await add(id, id.startsWith('m') ? 'mirror' : 'tentacle', 'eu-pci', 'eu-pci');
}

async function mirror(
  authority: TestMesh,
  id: string,
  site: string,
  parent: StartedNode,
  more = {},
): Promise<RunningMirror> {
  const { dataDir } = await authority.node(id, 'mirror', { site });
  const parents = [{ node: parent.name, address: parent.mesh.address! }];
  const isUp = () => parent.mesh.links().some((link) => link.peer === id && link.up);
  const start = async () => {
    const running = await startMirror({ dataDir, parents, minFreeBytes: 0, ...more }, { log: silentLogger() });
    await waitFor(isUp, { what: `the link to ${id}` });
    return running;
  };
  let running = await start();
  onTestFinished(() => running.stop());
  return {
    dataDir,
    stop: async () => {
      await running.stop();
      await waitFor(() => !isUp(), { what: `the end of ${id}` });
    },
    start: async () => {
      running = await start();
    },
  };
}

async function target(authority: TestMesh, feed: Feed, id: string, parent: StartedNode): Promise<Target> {
  const node = await startNode(authority, id, 'tentacle', {
    parents: [{ node: parent.name, address: parent.mesh.address! }],
  });
  await linked(parent, node);
  const pushed = new PushedStreams();
  node.mesh.listen('push', (stream) => pushed.accept(stream));
  const access = { mesh: node.mesh, identity: node.identity, revocations: node.revocations, loopback: true, pushed };
  const dataDir = join(node.dataDir, 'data');
  await mkdir(dataDir);
  const connect = (source: Parameters<typeof connectSource>[0], signal: AbortSignal) =>
    connectSource(source, access, signal);
  const packages = await createPackages({
    ...{ dataDir, connect, onWrongSource: () => undefined, log: silentLogger(), stallMs: 10_000, probeEveryMs: 200 },
    hasOpenScript: () => false,
    ...NOWHERE_ELSE,
  });
  onTestFinished(() => packages.stop());
  let found: Awaited<ReturnType<typeof sourcesOf>> | undefined;
  return {
    id,
    packages,
    acquire: async () => {
      found ??= await sourcesOf(feed, id, sha256);
      return packages.acquire(payload(found), newId(), {
        onProgress: () => undefined,
        signal: new AbortController().signal,
      });
    },
  };
}

export function payload({ sources, downloadToken }: Awaited<ReturnType<typeof sourcesOf>>): PackagePayload__Output {
  return {
    package: { id: 'web', version: '1.0.0', sha256, sizeBytes: bytes.length, format: 'tar.gz' },
    installation: { project: 'shop', environment: 'prod', step: 'web' }, downloadToken, substitute: [], variables: {}, sensitiveNames: [], ...NO_FILE_RULES,
    sources: sources.map(({ node = '', path = [], url = '', pushed = false }) => ({ node, path, url, upstream: null, pushed })),
  }; // prettier-ignore
}

/** Bytes that a node has received over its link to a peer. */
export function received(node: StartedNode, peer: string): number {
  return node.mesh.links().find((link) => link.peer === peer)?.bytesIn ?? 0;
}
