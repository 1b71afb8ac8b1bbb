// The route `auto` over real relays: it uses the path with the shorter round trip, and the other one when that is cut.
// Trace and ping use the same.
import { expect, it } from 'vitest';
import { cable, type Cable } from '../support/fake-link.ts';
import { slowLine } from '../support/slow-line.ts';
import { waitFor } from '../support/wait.ts';
import { WholeMesh } from './whole.ts';

it('takes the least-cost live path, whatever the order of the parents', async () => {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  let line: Cable | undefined;
  await mesh.add({ id: 'eu-a', role: 'relay', through: (to) => slowLine(to, 60) });
  await mesh.add({ id: 'eu-b', role: 'relay', through: async (to) => (line = await cable(to)).address });
  await mesh.add({ id: 'web-1', role: 'tentacle', parents: ['eu-a', 'eu-b'], routes: [{ kind: 'auto' }] });
  expect(await mesh.api.ask('GET', '/machines/web-1')).toMatchObject({ routes: [{ kind: 'auto' }] });

  const routeNow = async (): Promise<string | undefined> => {
    await mesh.api.task('/health-checks', { machines: ['web-1'] });
    const { healthReport } = await mesh.api.ask('GET', '/machines/web-1');
    return (healthReport as { route?: { via?: string[] } }).route?.via?.toString();
  };
  const probed = async (probe: 'trace' | 'ping', target: object) => {
    const { paths } = await mesh.api.ask('POST', `/mesh/${probe}`, target);
    return (paths as { path: string[] }[]).map(({ path }) => path.join());
  };
  const allTake = async (...paths: string[]): Promise<void> => {
    await waitFor(async () => (await routeNow()) === paths[0], { limitMs: 60_000, what: `dispatch over ${paths[0]}` });
    const [traced, pinged] = [await probed('trace', { node: 'web-1' }), await probed('ping', { machine: 'web-1' })];
    expect([traced, pinged]).toEqual([paths, paths]);
  };
  // Round trips are smoothed: the effect of the joins on them passes.
  await allTake('eu-b', 'eu-a');

  line!.cut();
  await allTake('eu-a', 'eu-b');
  line!.heal();
  await mesh.linked('eu-b');
  await allTake('eu-b', 'eu-a');
});
