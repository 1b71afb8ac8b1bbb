// A relay that drops what its tunnels carry, while its links answer: calls that last move to the other path.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { grpcClient } from '../../lib/grpc/client.ts';
import { loadDefinitions } from '../../lib/grpc/load.ts';
import { GrpcHost } from '../../lib/grpc/server.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import type { TopologyClient, TopologyHandlers } from '../../proto/gen/isthmus/topology/v1/Topology.ts';
import { submitScript } from '../../server/scripts/script-task.ts';
import { openStore } from '../../server/store/store.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { createTestMesh } from '../support/identities.ts';
import { linked, startNode, type StartedNode } from '../support/mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { actor, addMachine, ended, startRealTasks } from './harness.ts';

const rogue = await vi.hoisted(async () => new (await import('../attacks/rogue-relay.ts')).Rogue());
vi.mock('../../mesh/tunnel/splice.ts', () => ({ splice: rogue.splice }));

const { Topology } = loadDefinitions('isthmus/topology/v1/topology.proto').isthmus.topology.v1;

it('moves a running script, and the call of a node to its server, without a line lost', async () => {
  const authority = await createTestMesh();
  const server = await startNode(authority, 'server-1', 'server');
  const top = [{ node: 'server-1', address: server.mesh.address! }];
  const relays = [
    await startNode(authority, 'eu-1', 'relay', { parents: top }),
    await startNode(authority, 'eu-2', 'relay', { parents: top }),
  ] as const;
  const parents = relays.map(({ mesh }, i) => ({ node: `eu-${i + 1}`, address: mesh.address! }));
  const { dataDir } = await authority.node('web-1', 'tentacle', { site: 'eu' });
  const tentacle = await startTentacle({ dataDir, parents }, { log: silentLogger() });
  onTestFinished(() => tentacle.stop());
  const node = await startNode(authority, 'mirror-1', 'mirror', { parents });
  for (const relay of relays) await linked(server, relay);
  const up = ({ mesh }: StartedNode) => mesh.links().filter((link) => link.up).length;
  await waitFor(() => relays.every((relay) => up(relay) === 3) && up(node) === 2, { what: 'the links' });

  const host = new GrpcHost({ log: silentLogger() });
  onTestFinished(() => host.stop());
  host.add<TopologyHandlers>(Topology.service, { Watch: (open) => void open.resume() }, { Watch: { anyone: true } });
  server.mesh.listen('topology', (stream) => host.accept(stream));
  const client = grpcClient<TopologyClient>(Topology, (signal) =>
    node.mesh.dial({ node: 'server', service: 'topology', class: 'control', deadlineMs: 10_000, signal }),
  );
  onTestFinished(() => client.close());
  const watch = (await client.ready()).watch();
  const watchEnded = new Promise((resolve) => watch.resume().once('error', (error) => resolve(client.errorOf(error))));
  watch.write({});

  const folder = await tempDir();
  const store = await openStore({ dataDir: folder, log: silentLogger() });
  onTestFinished(() => store.close());
  const routes = ['eu-1', 'eu-2'].map((relay) => ({ kind: 'path', via: [relay] }) as const);
  await addMachine(store, 'web-1', { roles: [], routes, environments: ['prod'] });
  startRealTasks(store, authority, (options) => server.mesh.dial(options));
  const [witness, latch] = [join(folder, 'witness'), join(folder, 'go')];
  const body = `echo started >> ${witness}; echo one; until [ -e ${latch} ]; do sleep 0.05; done; echo two`;
  const { id } = await store.transaction((tx) => submitScript(tx, { body, machines: ['web-1'] }, actor));
  const ticket = async () => (await store.tickets.byTask(id))[0];
  await waitFor(async () => (await ticket())?.storedLine === 1, { what: 'the first line' });

  rogue.swallow();
  await writeFile(latch, '');
  expect((await ended(store, id)).state).toBe('succeeded');
  expect((await store.logLines.read((await ticket())!.id, 0, 10)).map(({ text }) => text)).toEqual(['one', 'two']);
  expect(await readFile(witness, 'utf8')).toBe('started\n');
  expect(await watchEnded).toMatchObject({ code: 'TUNNEL_SILENT' });
  await client.ready();
  const carried = relays[1].mesh.links().find(({ peer }) => peer === 'mirror-1');
  expect(carried?.tunnels).toBeGreaterThan(0);
});
