// A server of the wire version before this one, from the repository's own history, with nodes of this version below it:
// the other order of an upgrade than the one that docs/operations.md has.
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeProject } from '../lab/support/deploying.ts';
import { environment, machineOn } from '../lab/support/topology.ts';
import { Witness } from '../lab/support/witness.ts';
import { lacks } from '../support/needs.ts';
import { unpackPreviousTree } from '../support/previous-tree.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { freePort, World, type MadeToken, type NodePlan } from '../support/world.ts';

const machines = ['web-1'] as const;

describe.skipIf(lacks('history'))('a server of the version before', () => {
  it('deploys to nodes of this version, checks them, and takes their scripts up after it was killed', async () => {
    const [folder, serverTree] = [await tempDir(), await tempDir()];
    await unpackPreviousTree(serverTree);
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    const [mesh = '', api = '', listen = ''] = ports.map((port) => `127.0.0.1:${port}`);
    const world = await World.up({ folder, meshListen: mesh, apiListen: api, serverTree });
    onTestFinished(() => world.stop());
    await world.api.post('sites', { id: 'eu', name: 'eu' });
    await world.api.post('environments', { id: environment, name: environment });
    // Its API has one parent for each node.
    const add = async (plan: NodePlan): Promise<void> => {
      const { id: name, role, site, parent, machine } = plan;
      await world.join(plan, await world.api.post<MadeToken>('tokens', { role, site, name, parent, ...machine }));
    };
    await add({ id: 'eu', role: 'relay', site: 'eu', parent: 'server', parentAddress: mesh, listen });
    const machine = machineOn({ kind: 'path', via: ['eu'] });
    await add({ id: 'web-1', role: 'tentacle', site: 'eu', parent: 'eu', parentAddress: listen, machine });
    await world.linked();
    const witness = await Witness.in(join(folder, 'witness'));
    const project = await makeProject(world, folder, witness);

    const release = await project.release(100_000, 3);
    await project.arrived(await world.api.ended(await project.deploy(release)), release);
    const check = await world.api.post<{ id: string }>('health-checks', { machines });
    expect(await world.api.ended(check.id)).toMatchObject({ state: 'succeeded' });

    const body = witness.script('long', 100, 50);
    const { id } = await world.api.post<{ id: string }>('scripts', { body, machines });
    await waitFor(async () => (await witness.said('web-1', id, 'long')) > 10, { what: 'the script to run' });
    await world.signal('server', 'SIGKILL');
    await world.start('server');
    const task = await world.api.ended(id);
    expect(task, JSON.stringify(task)).toMatchObject({ state: 'succeeded' });
    await witness.agrees(world.api, task, { long: 100 });
  }, 180_000);
});
