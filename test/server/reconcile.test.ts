// The reconcile loop: whom nodes are assigned to dial, and what is recorded of them, from run to run.
import { expect, it, onTestFinished, vi } from 'vitest';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { Assignment__Output } from '../../proto/gen/isthmus/topology/v1/Assignment.ts';
import type { TopologyClient } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import { openStore, type Store } from '../../server/store/store.ts';
import { markApplied } from '../../server/topology/reparent.ts';
import { openLiveTopology } from '../../server/topology/live.ts';
import { WatchService } from '../../server/topology/watch.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode } from '../support/mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const types = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;
const log = silentLogger();

async function storeWith(ids: readonly string[]): Promise<Store> {
  const store = await openStore({ dataDir: await tempDir(), log });
  onTestFinished(() => store.close());
  const parents = [{ node: 'server', dialAddress: null }];
  await store.transaction(async (tx) => {
    await tx.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt: 1 });
    for (const id of ids) await tx.nodes.insert({ id, role: 'relay', site: 'eu', parents, createdAt: 1 });
  });
  return store;
}

it('a node that cannot be marked as moved keeps no other from it, and is marked in the next run', async () => {
  const store = await storeWith(['eu', 'a', 'b']);
  const parent = { node: 'eu', address: '10.0.0.1:8444' };
  await store.transaction(async (tx) => {
    for (const id of ['a', 'b']) {
      await tx.nodes.setDesiredParents(id, 1, {
        setAt: 7,
        setBy: 'key-1',
        parents: [{ ...parent, dialAddress: null }],
      });
      await tx.nodes.recordLastSeen(id, {
        softwareVersion: '1',
        report: { links: [], parents: [parent], parentsVersion: 7 },
      });
    }
  });
  const waiting = async () => (await store.nodes.all()).flatMap(({ id, desired }) => (desired === null ? [] : id));
  const topology = await openLiveTopology(store);
  const transaction = vi.spyOn(store, 'transaction').mockRejectedValueOnce(new Error('no such luck'));
  onTestFinished(() => transaction.mockRestore());
  await markApplied({ store, log }, topology);
  expect(await waiting()).toEqual(['a']);
  await markApplied({ store, log }, topology);
  expect(await waiting()).toEqual([]);
});

it('a node is told nothing before the server knows whom it has to dial', async () => {
  const store = await storeWith(['eu']);
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const findSources = () => ({ sources: [], downloadToken: '' });
  const watch = new WatchService({ store, log, findSources, onHealth: () => undefined, denials: server.mesh.denials });
  onTestFinished(() => watch.stop());
  server.mesh.listen('topology', (stream) => watch.accept(stream));
  const relay = await startNode(authority, 'eu', 'relay', {
    parents: [{ node: 'server-1', address: server.mesh.address! }],
  });
  await linked(server, relay);
  const options = { node: 'server', service: 'topology', class: 'control', deadlineMs: 10_000 } as const;
  const client = grpcClient<TopologyClient>(types.Topology, (signal) => relay.mesh.dial({ ...options, signal }));
  onTestFinished(() => client.close());
  const told: Assignment__Output[] = [];
  const call = (await client.ready()).watch();
  call.on('error', () => undefined).on('data', (assignment: Assignment__Output) => told.push(assignment));
  call.write({ softwareVersion: '1' });
  await waitFor(async () => (await store.nodes.get('eu')).lastSeenAt !== null, { what: 'the report' });
  expect(told).toEqual([]);
  const dial = [{ node: 'web-1', address: '10.0.0.9:8444' }];
  watch.assign({ dials: new Map([['eu', dial]]), parents: new Map() });
  await waitFor(() => told.length > 0, { what: 'the assignment' });
  expect(told).toMatchObject([{ dial }]);
});
