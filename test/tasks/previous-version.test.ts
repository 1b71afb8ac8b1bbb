// Nodes of the wire version before this one, as processes of its own real tree. A relay between a server and a tentacle
// of this one: whoever dials whom, scripts run through it; and a renewed certificate is not shown to it, so that its
// links are cut at the expiry and dialled again. A tentacle, which has no RunScript: scripts run on it all the same.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/log.ts';
import { ping } from '../../mesh/echo.ts';
import type { Route } from '../../server/store/routes.ts';
import { openStore } from '../../server/store/store.ts';
import { submitScript } from '../../server/tasks/script-task.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { startNode, type StartedNode } from '../support/mesh.ts';
import { startProcess } from '../support/mesh-process.ts';
import { lacks } from '../support/needs.ts';
import { unpackPreviousTree } from '../support/previous-tree.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { actor, addMachine, ended, startRealTasks } from './harness.ts';

/** Runs the relay `eu` of the previous tree below the server; answers its port once they are linked. */
async function oldRelay(
  authority: TestMesh,
  server: StartedNode,
  dialled: { up: boolean; below?: { node: string; address: string }[] },
): Promise<string> {
  const parent = dialled.up ? { node: 'server-1', address: server.mesh.address! } : { node: 'server-1' };
  const config = { parents: [parent], dials: dialled.below ?? [] };
  const tree = await tempDir();
  await unpackPreviousTree(tree);
  const { address } = await startProcess(await authority.node('eu', 'relay'), config, {}, tree);
  if (!dialled.up) server.mesh.assignDials([{ node: 'eu', address }]);
  await waitFor(() => server.mesh.links()[0]?.up, { limitMs: 30_000, what: 'the link to the old relay' });
  return address;
}

/** Counts to 200 on `web-1`, whose log is then in the store, every line once. */
async function runsScripts(authority: TestMesh, server: StartedNode, route: Route): Promise<void> {
  const store = await openStore({ dataDir: await tempDir(), log: silentLogger() });
  onTestFinished(() => store.close());
  await addMachine(store, 'web-1', { roles: [], routes: [route], environments: ['prod'] });
  startRealTasks(store, authority, (options) => server.mesh.dial(options));
  const script = { body: 'seq 1 200', machines: ['web-1'] };
  const { id } = await store.transaction((tx) => submitScript(tx, script, actor));
  expect(await ended(store, id)).toMatchObject({ state: 'succeeded' });
  const [ticket] = await store.tickets.byTask(id);
  const lines = await store.logLines.read(ticket!.id, 0, 1_000);
  expect(lines.map(({ text }) => text)).toEqual(Array.from({ length: 200 }, (_, index) => String(index + 1)));
}

describe.skipIf(lacks('history'))('a tentacle of the wire version before', () => {
  it('runs scripts, which are started and followed by two calls', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const { dataDir } = await authority.node('web-1', 'tentacle', { site: 'eu' });
    const config = { parents: [{ node: 'server-1', address: server.mesh.address }] };
    await writeFile(join(dataDir, 'config.yaml'), JSON.stringify(config));
    const tree = await tempDir();
    await unpackPreviousTree(tree);
    const words = [join(tree, 'cli/main.ts'), 'tentacle', 'start', '--data', dataDir];
    const tentacle = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] });
    const exited = once(tentacle, 'exit');
    onTestFinished(async () => {
      tentacle.kill();
      await exited;
    });
    await waitFor(() => server.mesh.links()[0]?.up, { limitMs: 30_000, what: 'the link of the old tentacle' });
    await runsScripts(authority, server, { kind: 'direct' });
  }, 90_000);
});

describe.skipIf(lacks('history'))('a relay of the wire version before', () => {
  it.each([{ dialling: 'up' }, { dialling: 'down' }])(
    'carries scripts, links dialled $dialling',
    async ({ dialling }) => {
      const authority = await createTestMesh();
      const server = await startNode(authority, 'server-1', 'server');
      const { dataDir } = await authority.node('web-1', 'tentacle', { site: 'eu' });
      const tentacleAt = async ({ address, ...listening }: { listen?: string; address?: string }) => {
        const parents = [{ node: 'eu', ...(address === undefined ? {} : { address }) }];
        const tentacle = await startTentacle({ dataDir, ...listening, parents }, { log: silentLogger() });
        onTestFinished(() => tentacle.stop());
        return tentacle.addresses.mesh ?? '';
      };
      if (dialling === 'up') await tentacleAt({ address: await oldRelay(authority, server, { up: true }) });
      else {
        const below = [{ node: 'web-1', address: await tentacleAt({ listen: '127.0.0.1:0' }) }];
        await oldRelay(authority, server, { up: false, below });
      }
      await runsScripts(authority, server, { kind: 'path', via: ['eu'] });
    },
    90_000,
  );

  it('is shown no renewed certificate: its link is cut at the expiry and dialled again', async () => {
    const authority = await createTestMesh();
    const server = await startNode(authority, 'server-1', 'server');
    const address = await oldRelay(authority, server, { up: true });
    const node = await authority.node('t1', 'tentacle', { lifetimeMs: 10_000 });
    const tentacle = await startNode(authority, 't1', 'tentacle', { parents: [{ node: 'eu', address }] }, {}, node);
    await waitFor(() => tentacle.mesh.links()[0]?.up, { what: 'the link' });
    const [before] = tentacle.mesh.links();
    const { notAfterMs } = node.identity.peer();
    const next = await authority.identity('t1', 'tentacle');
    await node.identity.replace(next.certificatePem, next.keyPem);
    const again = await waitFor(
      () => tentacle.mesh.links().find(({ up, upSinceMs }) => up && upSinceMs !== before?.upSinceMs),
      { limitMs: 20_000, what: 'the second link' },
    );
    expect(again.upSinceMs).toBeGreaterThanOrEqual(notAfterMs);
    const { facts } = await ping(server.mesh, { node: 't1', path: ['eu'], deadlineMs: 5_000 });
    expect(facts.node).toBe('t1');
  }, 60_000);
});
