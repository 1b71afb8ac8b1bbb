// Warming: a release is at the mirrors of its sites before it is deployed, and at no others.
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSigner } from '../../certs/signer.ts';
import { newId } from '../../lib/ids.ts';
import { versionKey } from '../../lib/package-versions.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import type { WarmProgress__Output } from '../../proto/gen/isthmus/mirror/v1/WarmProgress.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import { createMirrorClients } from '../../server/mirrors/clients.ts';
import { bytes, noise, received, sha256 } from '../packages/tiers.ts';
import { cancelTask, submitTask } from '../../server/tasks/submit.ts';
import { createTestMesh } from '../support/identities.ts';
import { waitFor } from '../support/wait.ts';
import { startWarmSite } from './site.ts';

const warmPayload = messageCodec(loadDefinitions('isthmus/mirror/v1/mirror.proto').isthmus.mirror.v1.WarmPayload);

describe('a warming', () => {
  it('brings a release through two tiers, and a deployment then takes nothing over the long lines', async () => {
    const site = await startWarmSite(['t-pci-1', 't-pci-2']);
    const { eu, pci, targets } = site;
    const task = await site.warm();
    expect(task).toMatchObject({ kind: 'warm', title: 'warming of shop 1.0.0 at mirror-pci' });
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded' });
    const [ticket] = await site.store.tickets.byTask(task.id);
    expect(ticket).toMatchObject({ target: 'mirror-pci', detail: { packages: 1, fetchedBytes: bytes.length } });
    // The outer mirror got it by the way.
    expect(await site.holds('mirror-pci')).toEqual([sha256]);
    expect(await site.holds('mirror-eu')).toEqual([sha256]);
    const before = { eu: received(eu, 'server-1'), pci: received(pci, 'eu') };
    const outcomes = await Promise.all(
      targets.filter(({ id }) => id.startsWith('t-pci')).map((each) => each.acquire()),
    );
    expect(outcomes.map(({ from }) => from)).toEqual(['mirror-pci', 'mirror-pci']);
    expect(received(eu, 'server-1') - before.eu).toBeLessThan(noise);
    expect(received(pci, 'eu') - before.pci).toBeLessThan(noise);
    // Again: everything is there.
    const again = await site.warm();
    await site.ended(again);
    expect((await site.store.tickets.byTask(again.id))[0]).toMatchObject({ detail: { fetchedBytes: 0 } });
    expect(await site.messages(again)).toContain('mirror-pci: has web 1.0');
  });

  it('goes to sites with machines in scope only', async () => {
    const site = await startWarmSite(['t-eu-1']);
    const task = await site.warm();
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded' });
    expect(await site.holds('mirror-eu')).toEqual([sha256]);
    expect(await site.holds('mirror-pci')).toEqual([]);
    await expect(site.warm({ sites: ['eu-pci'] })).rejects.toMatchObject({ code: 'NO_TARGETS' });
    await expect(site.warm({ environments: ['nowhere'] })).rejects.toMatchObject({ code: 'INVALID_FIELD' });
  });

  it('keeps to its rate on every line, until a machine waits for the package', async () => {
    const site = await startWarmSite(['t-pci-1']);
    const task = await site.warm({ maxBytesPerS: 65_536 });
    for (const mirror of ['mirror-eu', 'mirror-pci']) {
      await waitFor(async () => (await site.mesh.status(mirror)).partialBytes > 0, { what: 'the first bytes' });
      expect(await site.mesh.status(mirror)).toMatchObject({ fetching: 1, packages: 0 });
    }
    // At its rate it would take three quarters of a minute.
    const target = site.targets.find(({ id }) => id === 't-pci-1')!;
    expect((await target.acquire()).from).toBe('mirror-pci');
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded' });
  });

  it('ends with its task, and resumes where it stopped', async () => {
    const site = await startWarmSite(['t-eu-1']);
    const task = await site.warm({ maxBytesPerS: 65_536 });
    await waitFor(async () => (await site.mesh.status('mirror-eu')).partialBytes > 100_000, { what: 'some bytes' });
    await site.store.transaction((tx) => cancelTask(tx, task.id, 'tester'));
    expect(await site.ended(task)).toMatchObject({ state: 'cancelled' });
    await waitFor(async () => (await site.mesh.status('mirror-eu')).fetching === 0, { what: 'the end of the fetch' });
    expect(await site.holds('mirror-eu')).toEqual([]);
    const before = received(site.eu, 'server-1');
    expect(await site.ended(await site.warm())).toMatchObject({ state: 'succeeded' });
    expect(received(site.eu, 'server-1') - before).toBeLessThan(bytes.length - 100_000 + noise);
  });
});

describe('a project', () => {
  it('has its releases warmed when they are created, in its window', async () => {
    const site = await startWarmSite(['t-eu-1']);
    await site.release('1.1.0');
    expect(await site.warmings()).toEqual([]);
    const nowHours = new Date().getUTCHours();
    const at = (hours: number) => `${String((nowHours + hours) % 24).padStart(2, '0')}:00`;
    await site.setWarm({ on: 'release', maxBytesPerS: 4_000_000, window: { from: at(3), to: at(4) } });
    await site.release('1.2.0');
    const [task, ...others] = await site.warmings();
    expect(others).toEqual([]);
    expect(task).toMatchObject({ title: 'warming of shop 1.2.0 at mirror-eu', createdBy: 'system' });
    const waits = `mirror-eu: waits for its window, which opens at ${at(3)} UTC`;
    await waitFor(async () => (await site.messages(task!)).includes(waits), { what: 'its message' });
    expect(await site.holds('mirror-eu')).toEqual([]);
    await site.setWarm({ on: 'release' });
    await site.release('1.3.0');
    await waitFor(async () => (await site.holds('mirror-eu')).length > 0, { what: 'the package' });
    await site.store.transaction((tx) => cancelTask(tx, task!.id, 'tester'));
  });

  it('has a release warmed for the environments behind one that has it, and never otherwise', async () => {
    const site = await startWarmSite(['t-eu-1']);
    await site.store.transaction((tx) =>
      tx.environments.insert({ id: 'staging', name: '', description: '', createdAt: 0 }),
    );
    const release = await site.store.releases.findVersion('shop', versionKey('1.0.0'));
    const deployed = (environment: string, state: 'succeeded' | 'failed') =>
      site.store.transaction(async (tx) => {
        const task = await submitTask(
          tx,
          { kind: 'script' },
          { ...{ title: '', payload: {}, actor: 'x', event: {} }, deadlineS: 60 },
        );
        const { id } = release!;
        await tx.deployments.insert({
          ...{ id: newId(), project: 'shop', release: id, version: '1.0.0', environment, task: task.id, createdAt: 0 },
        });
        const data = { state, errorCode: null, project: 'shop', environment };
        await tx.events.append({ actor: 'system', type: 'deployment.ended', subject: task.id, data });
      });
    await deployed('staging', 'succeeded');
    expect(await site.warmings()).toEqual([]);
    await site.setWarm({ on: 'promotion', environments: ['staging', 'production'] });
    await deployed('staging', 'failed');
    await deployed('production', 'succeeded');
    await deployed('staging', 'succeeded');
    await waitFor(async () => (await site.holds('mirror-eu')).length > 0, { what: 'the package' });
    expect(await site.warmings()).toHaveLength(1);
  });
});

describe('readiness', () => {
  it('says which mirrors lack what, and a deployment can wait for it', async () => {
    const site = await startWarmSite(['t-eu-1', 't-pci-1']);
    const missing = [{ id: 'web', version: '1.0' }];
    const lacks = { state: 'missing', missing, missingBytes: bytes.length };
    expect(await site.readiness()).toMatchObject([
      { site: 'eu', machines: 1, packages: 1, state: 'missing', mirrors: [{ mirror: 'mirror-eu', ...lacks }] },
      { site: 'eu-pci', machines: 1, state: 'missing', mirrors: [{ mirror: 'mirror-pci', ...lacks }] },
    ]);
    const task = await site.deploy(600);
    await waitFor(async () => (await site.messages(task)).includes('every site is ready'), { what: 'the sites' });
    expect((await site.readiness()).map(({ state }) => state)).toEqual(['ready', 'ready']);
    expect(await site.warmings()).toHaveLength(1);
    await site.store.transaction((tx) => cancelTask(tx, task.id, 'tester'));
  });

  it('ends a deployment whose sites are not ready in time, before anything is done', async () => {
    const site = await startWarmSite(['t-pci-1']);
    await site.setWarm({ on: 'never', maxBytesPerS: 1024 });
    const task = await site.deploy(1);
    expect(await site.ended(task)).toMatchObject({ state: 'timed_out', errorCode: 'SITES_NOT_READY' });
    expect((await site.store.tasks.get(task.id)).errorDetail).toMatch(
      /^not begun: eu-pci: mirror-pci lacks 2\.\d+ MiB$/,
    );
    expect(await site.store.tickets.byTask(task.id)).toEqual([]);
    for (const warming of await site.warmings()) await site.store.transaction((tx) => cancelTask(tx, warming.id, 'x'));
  });

  it('is held up by no mirror that cannot be warmed', async () => {
    const site = await startWarmSite(['t-eu-1']);
    await site.mirrors['mirror-eu'].stop();
    expect(await site.readiness()).toMatchObject([{ state: 'unknown', mirrors: [{ missingBytes: null }] }]);
    await site.store.transaction((tx) => tx.nodes.recordLastSeen('mirror-eu', { softwareVersion: '0.1.0' }));
    expect(await site.readiness()).toMatchObject([{ state: 'unsupported', mirrors: [{ state: 'unsupported' }] }]);
  });
});

describe('the service of a mirror', () => {
  it('answers servers only', async () => {
    const site = await startWarmSite(['t-eu-1']);
    expect(await site.mesh.status('mirror-eu')).toMatchObject({ packages: 0, fetching: 0, quotaBytes: 0 });
    const dial = { service: 'mirror', class: 'control', deadlineMs: 5_000 } as const;
    await expect(site.pci.mesh.dial({ ...dial, node: 'mirror-pci', path: [] })).rejects.toMatchObject({
      code: 'ROLE_FORBIDDEN',
    });
  });

  it('takes only orders that the server signed for it, of their kind and in time', async () => {
    const site = await startWarmSite(['t-eu-1']);
    const clients = createMirrorClients((options) => site.server.mesh.dial(options));
    onTestFinished(() => clients.close());
    const good = {
      tentacle: 'mirror-eu',
      ticket: 'x',
      task: 'x',
      epoch: 1,
      kind: 'warm',
      expiresAtMs: Date.now(),
    } as const;
    const content = { ...good, payload: warmPayload.encode({ sha256, sizeBytes: bytes.length }) };
    const warm = (envelope: Envelope) =>
      clients.use('mirror-eu', ['eu'], async (client) => {
        const progress: WarmProgress__Output[] = [];
        const call = (await client.ready()).warm({ envelope });
        try {
          for await (const each of call as AsyncIterable<WarmProgress__Output>) progress.push(each);
        } catch (thrown) {
          throw client.errorOf(thrown);
        }
        return progress.at(-1);
      });
    const other = createSigner((await createTestMesh()).authority, 'server-1');
    const denied = {
      BAD_TASK_SIGNATURE: other.signEnvelope(content),
      WRONG_RECIPIENT: site.sign({ ...content, tentacle: 'mirror-pci' }),
      ENVELOPE_KIND: site.sign({ ...content, kind: 'acquire' }),
      TICKET_TOO_OLD: site.sign({ ...content, expiresAtMs: 1 }),
    };
    for (const [code, envelope] of Object.entries(denied)) await expect(warm(envelope)).rejects.toMatchObject({ code });
    expect(await site.holds('mirror-eu')).toEqual([]);
    expect(await warm(site.sign(content))).toMatchObject({ done: true, cached: false });
  });

  it('is not asked of a mirror of an earlier version', async () => {
    const site = await startWarmSite(['t-eu-1']);
    await site.mirrors['mirror-eu'].stop();
    await site.store.transaction((tx) => tx.nodes.recordLastSeen('mirror-eu', { softwareVersion: '0.1.0' }));
    const what = { code: 'MIRROR_UNSUPPORTED', hop: 'mirror-eu' };
    await expect(site.mesh.status('mirror-eu')).rejects.toMatchObject(what);
    const task = await site.warm();
    expect(await site.ended(task)).toMatchObject({ state: 'failed' });
    const [ticket] = await site.store.tickets.byTask(task.id);
    expect(ticket).toMatchObject({ state: 'skipped', errorCode: 'MIRROR_UNSUPPORTED' });
  });
});
