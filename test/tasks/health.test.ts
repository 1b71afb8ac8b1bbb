// Health checks: answered without the script engine, judged by thresholds, with the hop that failed.
import { expect, it } from 'vitest';
import { submitHealthCheck } from '../../server/health/health-task.ts';
import type { MachineHealth } from '../../server/health/judgement.ts';
import type { NewEvent } from '../../server/store/events/events.ts';
import { taskView } from '../../server/tasks/view.ts';
import { ownLink } from '../support/topology.ts';
import { waitFor } from '../support/wait.ts';
import { actor, startHarness, type Harness } from './harness.ts';

const GiB = 1024 ** 3;

async function check(h: Harness, machines: string[]): Promise<string> {
  return (await h.store.transaction((tx) => submitHealthCheck(tx, { machines }, actor))).id;
}

it('finds a machine healthy, with its facts', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  fake.health = { diskFreeBytes: 50 * GiB, diskTotalBytes: 100 * GiB };
  const id = await check(h, ['web-1']);
  expect((await h.ended(id)).state).toBe('succeeded');
  const machine = await h.store.machines.get('web-1');
  expect(machine).toMatchObject({
    health: 'healthy',
    healthReport: { facts: { softwareVersion: 'fake' }, route: { kind: 'direct' } },
  });
  const { items } = await h.store.events.list({ subject: 'web-1', limit: 10 });
  expect(items).toMatchObject([{ type: 'machine.health-changed', data: { from: 'unknown', to: 'healthy' } }]);
  expect(fake.starts).toEqual([]);
});

it('checks every machine when none is named, and says which it leaves out', async () => {
  const h = await startHarness();
  await h.machine('web-1');
  await h.machine('web-2');
  const disable = (id: string) =>
    h.store.transaction(async (tx) => {
      const { version } = await tx.machines.get(id);
      await tx.machines.update(id, version, { disabled: true });
    });
  await disable('web-2');
  const all = () => h.store.transaction((tx) => submitHealthCheck(tx, {}, actor));
  const { id } = await all();
  expect((await h.ended(id)).state).toBe('succeeded');
  expect((await taskView(h.store, id)).machines).toMatchObject([
    { machine: 'web-1', state: 'succeeded' },
    { machine: 'web-2', state: 'skipped', leftOut: 'disabled' },
  ]);
  await disable('web-1');
  await expect(all()).rejects.toMatchObject({
    code: 'NO_TARGETS',
    message: 'every machine is left out: web-1 (disabled), web-2 (disabled)',
    action: { code: 'ENABLE_MACHINE', arguments: { machine: 'web-1' } },
  });
});

it('warns beyond a threshold, and calls an unusable machine unhealthy', async () => {
  const h = await startHarness();
  const warned = await h.machine('web-1');
  warned.health = { diskFreeBytes: 2 * GiB, diskTotalBytes: 100 * GiB };
  const bad = await h.machine('web-2');
  bad.health = { tentacleTimeMs: Date.now() - 3_600_000 };
  const id = await check(h, ['web-1', 'web-2']);
  expect((await h.ended(id)).state).toBe('failed');
  expect((await h.store.machines.get('web-1')).health).toBe('warning');
  expect((await h.store.machines.get('web-2')).health).toBe('unhealthy');
  const view = await taskView(h.store, id);
  expect(view.machines[1]!.steps[0]!.error).toMatchObject({ code: 'MACHINE_UNHEALTHY' });
});

it('says that the relay is down, not the machine', async () => {
  const h = await startHarness();
  await h.machine('web-1', { routes: [{ kind: 'path', via: ['eu', 'eu-pci'] }] });
  h.ports.delete('web-1');
  const id = await check(h, ['web-1']);
  expect((await h.ended(id)).state).toBe('failed');
  const machine = await h.store.machines.get('web-1');
  expect(machine.health).toBe('unreachable');
  const report = machine.healthReport as MachineHealth;
  expect(report.hop).toBe('eu');
  expect(report.reasons[0]).toMatchObject({ what: 'path', hop: 'eu' });
  expect(report.reasons[0]!.text).toContain('nothing is known of the machine');
  const [ticket] = await h.store.tickets.byTask(id);
  expect(ticket).toMatchObject({ errorCode: 'UNREACHABLE', errorHop: 'eu' });
});

it('says that the machine does not answer when the path is open', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1');
  await fake.away();
  await h.ended(await check(h, ['web-1']));
  const { healthReport } = await h.store.machines.get('web-1');
  expect(healthReport).toMatchObject({ health: 'unreachable', hop: 'web-1', reasons: [{ what: 'machine' }] });
});

it('warns when only a less preferred route works', async () => {
  const h = await startHarness();
  const fake = await h.machine('web-1', {
    routes: [
      { kind: 'path', via: ['eu'] },
      { kind: 'path', via: ['us'] },
    ],
  });
  h.ports.delete('web-1');
  h.ports.set('us/web-1', fake.port);
  expect((await h.ended(await check(h, ['web-1']))).state).toBe('succeeded');
  const { healthReport } = await h.store.machines.get('web-1');
  expect(healthReport).toMatchObject({
    health: 'warning',
    route: { via: ['us'] },
    reasons: [{ what: 'route', hop: 'eu' }],
  });
});

it('checks every machine periodically', async () => {
  const h = await startHarness({}, { healthCheckIntervalS: 0.2 });
  const fake = await h.machine('web-1');
  await waitFor(async () => (await h.store.machines.get('web-1')).health === 'healthy');
  await fake.away();
  await waitFor(async () => (await h.store.machines.get('web-1')).health === 'unreachable');
  await fake.listen();
  await waitFor(async () => (await h.store.machines.get('web-1')).health === 'healthy');
  expect((await h.store.tasks.list({}, { limit: 10 })).items).toEqual([]);
});

it('checks a machine soon after it is linked for the first time, and again when an outage ends', async () => {
  const h = await startHarness({}, { healthCheckIntervalS: 604_800 });
  const fake = await h.machine('web-1');
  const append = (event: NewEvent) => h.store.transaction((tx) => tx.events.append(event));
  const health = async () => (await h.store.machines.get('web-1')).health;
  await append({ actor: 'web-1', type: 'node.joined', subject: 'web-1', data: { role: 'tentacle' } });
  h.topology.followLinks({ links: () => [ownLink('web-1')], onLinksChanged: () => () => undefined });
  await h.store.transaction((tx) => tx.nodes.recordLastSeen('web-1', { lastSeenAt: Date.now() }));
  await waitFor(async () => (await health()) === 'healthy');
  await fake.away();
  await append({ actor: 'system', type: 'node.restored', subject: 'web-1', data: { downMs: 6_000 } });
  await waitFor(async () => (await health()) === 'unreachable');
});

it('takes the word of its reports for a machine, and calls it while nothing is reported', async () => {
  const h = await startHarness({}, { healthCheckIntervalS: 0.2 });
  const fake = await h.machine('web-1');
  fake.health = { os: 'called' };
  const found = async () => (await h.store.machines.get('web-1')).healthReport as MachineHealth | null;
  await waitFor(async () => (await found())?.by === 'call');
  const links = () => [ownLink('web-1', { roundTripMs: 4 })];
  h.topology.followLinks({ links, onLinksChanged: () => () => undefined });
  const calls = fake.healthCalls;
  h.reported.take('web-1', { receivedAtMs: Date.now(), report: { ...(await found())!.facts!, os: 'reported' } });
  await waitFor(async () => (await found())?.by === 'report');
  expect(await found()).toMatchObject({ route: { kind: 'direct' }, roundTripMs: 4, facts: { os: 'reported' } });
  // One may have been on its way.
  expect(fake.healthCalls - calls).toBeLessThanOrEqual(1);
  const settled = fake.healthCalls;
  const { healthAt } = await h.store.machines.get('web-1');
  await waitFor(async () => (await h.store.machines.get('web-1')).healthAt! > healthAt! + 500);
  expect(fake.healthCalls).toBe(settled);
  h.topology.followLinks({ links: () => [], onLinksChanged: () => () => undefined });
  await waitFor(async () => (await found())?.by === 'call');
});
