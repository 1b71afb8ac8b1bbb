// The product in its intended network: three segregated sites behind long lines, both dial directions, two hops. This
// must hold before the other tests add faults.
import { describe, expect, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { labOfThisFile } from './support/open.ts';
import { lineNames, machineIds } from './support/sites.ts';

describe.skipIf(lacks('root', 'namespaces', 'iproute', 'gcc', 'tun'))('the product in the lab', () => {
  const open = labOfThisFile({ delayMs: 20, rateMbit: 50 });

  test('every node enrolled from inside its own namespace, and none but relays can cross', async () => {
    const { world, lab } = open;
    const { items } = await world.api.get<{ items: { id: string; role: string; state: string }[] }>('nodes');
    expect(items.filter(({ role }) => role !== 'server').every(({ state }) => state === 'active')).toBe(true);
    expect(items).toHaveLength(1 + 3 + 2 + machineIds.length);
    for (const host of [...machineIds, 'mirror-eu', 'mirror-pci']) {
      const routes = await lab.run(host, 'ip', ['-4', 'route', 'show']);
      expect(routes.trim().split('\n'), host).toHaveLength(1);
    }
  });

  test('a health check goes down the route of every machine', async () => {
    const { api } = open.world;
    const { id } = await api.post<{ id: string }>('health-checks', { machines: machineIds });
    const task = await api.ended(id);
    expect(task, JSON.stringify(task)).toMatchObject({ state: 'succeeded' });
    expect(task.machines.map(({ machine }) => machine).sort()).toEqual([...machineIds].sort());
  });

  test('a deployment succeeds everywhere, and its package crosses each long line once', async () => {
    const { world, lab, project } = open;
    const release = await project.release(6e6);
    const before = await Promise.all(lineNames.map((line) => lab.bytes(line)));
    const task = await world.api.ended(await project.deploy(release));
    const after = await Promise.all(lineNames.map((line) => lab.bytes(line)));
    await project.arrived(task, release);
    for (const [index, line] of lineNames.entries()) {
      const crossed = after[index]!.forward - before[index]!.forward;
      expect(crossed, line).toBeGreaterThan(release.packageBytes);
      expect(crossed, line).toBeLessThan(release.packageBytes * 1.3);
    }
  });
});
