// Warming: a release is at the mirrors of its sites before it is deployed, and at no others.
import { describe, expect, it, onTestFinished } from 'vitest';
import { createSigner } from '../../certs/signer.ts';
import { loadDefinitions, messageCodec } from '../../lib/grpc/load.ts';
import type { WarmProgress__Output } from '../../proto/gen/isthmus/mirror/v1/WarmProgress.ts';
import type { Envelope } from '../../proto/gen/isthmus/tentacle/v1/Envelope.ts';
import { createMirrorClients } from '../../server/mirrors/clients.ts';
import { bytes, noise, received, sha256 } from '../packages/tiers.ts';
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

  it('keeps to its rate until a machine waits for the package', async () => {
    const site = await startWarmSite(['t-eu-1']);
    const task = await site.warm({ maxBytesPerS: 65_536 });
    await waitFor(async () => (await site.mesh.status('mirror-eu')).partialBytes > 0, { what: 'the first bytes' });
    expect(await site.mesh.status('mirror-eu')).toMatchObject({ fetching: 1, packages: 0 });
    // At its rate it would take three quarters of a minute.
    const target = site.targets.find(({ id }) => id === 't-eu-1')!;
    expect((await target.acquire()).from).toBe('mirror-eu');
    expect(await site.ended(task)).toMatchObject({ state: 'succeeded' });
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
