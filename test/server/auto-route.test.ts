// The route `auto` over real relays: the way with the shorter round trip, and the other one when that is cut.
import { expect, it } from 'vitest';
import { cable, type Cable } from '../support/fake-link.ts';
import { slowLine } from '../support/slow-line.ts';
import { waitFor } from '../support/wait.ts';
import { WholeMesh } from './whole.ts';

it('takes the cheapest live way, whatever the order of the parents', async () => {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  let line: Cable | undefined;
  await mesh.add({ id: 'eu-a', role: 'relay', through: (to) => slowLine(to, 60) });
  await mesh.add({ id: 'eu-b', role: 'relay', through: async (to) => (line = await cable(to)).address });
  await mesh.add({ id: 'web-1', role: 'tentacle', parents: ['eu-a', 'eu-b'], routes: [{ kind: 'auto' }] });
  expect(await mesh.api.ask('GET', '/machines/web-1')).toMatchObject({ routes: [{ kind: 'auto' }] });

  const wayNow = async (): Promise<string | undefined> => {
    await mesh.api.task('/health-checks', { machines: ['web-1'] });
    const { healthReport } = await mesh.api.ask('GET', '/machines/web-1');
    return (healthReport as { route?: { via?: string[] } }).route?.via?.toString();
  };
  // Round trips are smoothed: what the joins made of them passes.
  await waitFor(async () => (await wayNow()) === 'eu-b', { limitMs: 60_000, what: 'the shorter way' });

  line!.cut();
  await waitFor(async () => (await wayNow()) === 'eu-a', { limitMs: 30_000, what: 'the other way' });
  line!.heal();
  await mesh.linked('eu-b');
  await waitFor(async () => (await wayNow()) === 'eu-b', { limitMs: 30_000, what: 'the shorter way again' });
}, 120_000);
