// What a node does for an upgrade of its host: nothing without a right signature, and everything only once.
import { createHash, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { signSums } from '../../certs/release-keys.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import { hostLayout, type HostLayout } from '../../host/layout.ts';
import { readConfirmation, readOrders } from '../../host/orders.ts';
import { writeJournal, type Change } from '../../host/versions/journal.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { ownHost } from '../../node/upgrade/host.ts';
import { NodeUpgrade } from '../../node/upgrade/upgrade.ts';
import type { BeginRequest__Output } from '../../proto/gen/isthmus/upgrade/v1/BeginRequest.ts';
import { cutAt, slow, startOrigin, type Behaviour, type Origin } from '../packages/origin.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const ID = '01890a5d-ac96-774b-bcce-b302099a8057';
const body = randomBytes(300_000);
const sha256 = createHash('sha256').update(body).digest('hex');
const tarball = (version = '1.2.0', architecture: string = arch()) => `isthmus-${version}-linux-${architecture}.tar.gz`;
const trusted = generateKeyPairSync('ed25519');

let mesh: TestMesh;
let self: TestNode;
let layout: HostLayout;
let dataDir: string;

beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  self = await mesh.node('relay-1', 'relay');
  return () => removals.forEach((remove) => remove());
});

beforeEach(async () => {
  layout = hostLayout(await tempDir());
  dataDir = layout.dataDir('relay');
  for (const folder of [dataDir, layout.versions, layout.releaseKeys]) mkdirSync(folder, { recursive: true });
  trust(trusted.publicKey);
});

function trust(key: KeyObject): void {
  writeFileSync(join(layout.releaseKeys, 'builder.pub'), key.export({ type: 'spki', format: 'pem' }));
}

/** The node's part, in a process that runs this version. */
function node(version = '1.1.0', unsupported?: IsthmusError, blobs?: BlobStore): NodeUpgrade {
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  const upgrade = new NodeUpgrade({
    ...{ role: 'relay', dataDir, version, log: silentLogger() },
    host: { layout, unsupported },
    openCached: blobs && ((digest) => blobs.open(digest)),
    connect: (source, signal) => connectSource(source, access, signal),
    onWrongSource: () => undefined,
  });
  onTestFinished(() => upgrade.stop());
  return upgrade;
}

function origin(...behaviours: Behaviour[]): Promise<Origin> {
  return startOrigin(mesh, 'mirror-1', body, ...behaviours);
}

interface Given {
  readonly id?: string;
  readonly name?: string;
  readonly key?: KeyObject;
  readonly sums?: string;
}

function request(from: Pick<Origin, 'node' | 'url'>, given: Given = {}): BeginRequest__Output {
  const { id = ID, name = tarball(), key = trusted.privateKey } = given;
  const listed = `${sha256}  ${name}\n`;
  return {
    ...{ id, tarball: name, sizeBytes: body.length, sums: given.sums ?? listed, signature: signSums(listed, key) },
    ...{ sources: [{ ...from, path: [], upstream: null, pushed: false }], downloadToken: 'token', confirmWithinS: 120 },
  };
}

/** The root process of the host has begun. */
function journal(phase: 'unpacking' | 'confirmed', id = ID, role = 'relay'): void {
  const change = { phase, id, why: 'upgrade', role, from: '1.1.0', to: '1.2.0', confirmWithinS: 120, at: 1 };
  writeJournal(layout, change as Change);
}

const files = () => readdirSync(join(dataDir, 'upgrade'));
const until = (upgrade: NodeUpgrade, phase: string) =>
  waitFor(() => upgrade.status(ID).phase === phase, { what: phase });

describe('an upgrade that begins', () => {
  it('is not one that another node of the host has ordered under its id', () => {
    journal('confirmed', ID, 'mirror');
    expect(node().status(ID)).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED', softwareVersion: '1.1.0' });
  });

  it('fetches the tarball and orders the upgrade from the host', async () => {
    const from = await origin();
    const upgrade = node();
    expect(upgrade.status(ID)).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED', softwareVersion: '1.1.0' });
    expect(await upgrade.begin(request(from))).toMatchObject({ phase: 'FETCHING', totalBytes: body.length });
    await until(upgrade, 'ORDERED');
    expect(upgrade.status(ID)).toMatchObject({ receivedBytes: body.length, from: 'mirror-1' });
    expect(readFileSync(join(dataDir, 'upgrade', tarball()))).toEqual(body);
    expect(readOrders(layout)).toMatchObject([
      { role: 'relay', order: { id: ID, version: '1.2.0', tarball: tarball(), confirmWithinS: 120 } },
    ]);
    // As often as the server likes, and after a restart.
    expect(await upgrade.begin(request(from))).toMatchObject({ phase: 'ORDERED' });
    expect(await node().begin(request(from))).toMatchObject({ phase: 'ORDERED' });
    expect(from.requests).toHaveLength(1);
  });

  it('resumes after a restart where the process before stopped, and keeps nothing else', async () => {
    mkdirSync(join(dataDir, 'upgrade'));
    for (const name of ['isthmus-1.0.0-linux-x64.tar.gz', 'isthmus-1.1.0-linux-x64.tar.gz.partial'])
      writeFileSync(join(dataDir, 'upgrade', name), 'old');
    const wait = Promise.withResolvers<void>();
    const from = await origin(slow(3, () => wait.promise));
    const first = node();
    await first.begin(request(from));
    await waitFor(() => first.status(ID).receivedBytes >= body.length / 3);
    expect(files()).toEqual([`${tarball()}.partial`]);
    await first.stop();
    const second = node();
    expect(second.status(ID).phase).toBe('UPGRADE_PHASE_UNSPECIFIED');
    await second.begin(request(from));
    await until(second, 'ORDERED');
    expect(from.requests[1]?.range).toMatch(/^bytes=1\d{5}-$/);
    expect(files().sort()).toEqual([tarball(), 'order.json']);
  });

  it('takes a whole tarball that lies there, if its bytes are right', async () => {
    mkdirSync(join(dataDir, 'upgrade'));
    const [right, wrong] = [await origin(), await origin()];
    writeFileSync(join(dataDir, 'upgrade', tarball()), body);
    const first = node();
    await first.begin(request(right));
    await until(first, 'ORDERED');
    expect(right.requests).toEqual([]);
    await first.withdraw(ID);
    writeFileSync(join(dataDir, 'upgrade', tarball()), randomBytes(body.length));
    const second = node();
    await second.begin(request(wrong));
    await until(second, 'ORDERED');
    expect(wrong.requests).toHaveLength(1);
    expect(readFileSync(join(dataDir, 'upgrade', tarball()))).toEqual(body);
  });

  it('takes a mirror’s tarball from its own cache', async () => {
    const blobs = await BlobStore.open(join(dataDir, 'packages'));
    const writer = await blobs.receive();
    await writer.write(body);
    await writer.commit();
    const from = await origin();
    const upgrade = node('1.1.0', undefined, blobs);
    await upgrade.begin(request(from));
    await until(upgrade, 'ORDERED');
    expect(from.requests).toEqual([]);
    expect(readFileSync(join(dataDir, 'upgrade', tarball()))).toEqual(body);
  });

  it('goes on after a cut, and begins anew once no source has brought it', async () => {
    const from = await origin(cutAt(0.5));
    const upgrade = node();
    await upgrade.begin(request({ node: 'mirror-2', url: 'https://127.0.0.1:1' }));
    await until(upgrade, 'FAILED');
    expect(upgrade.status(ID)).toMatchObject({ code: 'PACKAGE_UNAVAILABLE' });
    await upgrade.begin(request(from));
    await until(upgrade, 'ORDERED');
    expect(from.requests).toMatchObject([
      { range: undefined },
      { range: expect.stringMatching(/^bytes=1\d{5}-$/) as unknown },
    ]);
  });
});

describe('nothing is fetched', () => {
  const other = generateKeyPairSync('ed25519').privateKey;

  it.each<[string, Given, string]>([
    ['with a signature of a key that the host does not trust', { key: other }, 'SOFTWARE_SIGNATURE_WRONG'],
    ['with a list that was changed', { sums: `${sha256}  ${tarball('9.9.9')}\n` }, 'SOFTWARE_SIGNATURE_WRONG'],
    [
      'for another architecture',
      { name: tarball('1.2.0', arch() === 'x64' ? 'arm64' : 'x64') },
      'SOFTWARE_ARCHITECTURE',
    ],
    ['of a lower version', { name: tarball('1.0.9') }, 'UPGRADE_DOWNGRADE'],
    ['by a name that is a path', { name: '../isthmus-1.2.0-linux-x64.tar.gz' }, 'INVALID_FIELD'],
  ])('%s', async (_what, given, code) => {
    const from = await origin();
    await expect(node().begin(request(from, given))).rejects.toMatchObject({ code });
    expect(from.requests).toEqual([]);
    expect(readOrders(layout)).toEqual([]);
  });

  it('where no key is trusted', async () => {
    const from = await origin();
    layout = { ...layout, releaseKeys: join(layout.root, 'nowhere') };
    await expect(node().begin(request(from))).rejects.toMatchObject({ code: 'SOFTWARE_KEYS_MISSING' });
  });

  it('of the version that runs', async () => {
    const from = await origin();
    expect(await node('1.2.0').begin(request(from))).toMatchObject({ phase: 'ALREADY_THERE' });
  });

  it('where the host cannot be upgraded by the mesh', async () => {
    const from = await origin();
    const { unsupported } = ownHost('relay', dataDir);
    expect(unsupported).toMatchObject({ code: 'UPGRADE_UNSUPPORTED' });
    const upgrade = node('1.1.0', unsupported);
    expect(upgrade.status('')).toMatchObject({ unsupported: 'its software was not installed from a tarball' });
    await expect(upgrade.begin(request(from))).rejects.toMatchObject({ code: 'UPGRADE_UNSUPPORTED' });
  });

  it('while another upgrade is fetched, ordered or carried out', async () => {
    const other = { id: '01890a5d-ac96-774b-bcce-b302099a8058' };
    const wait = Promise.withResolvers<void>();
    const from = await origin(slow(3, () => wait.promise));
    const upgrade = node();
    await upgrade.begin(request(from));
    await expect(upgrade.begin(request(from, other))).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
    wait.resolve();
    await until(upgrade, 'ORDERED');
    await expect(upgrade.begin(request(from, other))).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
    journal('unpacking');
    for (const each of [upgrade, node()])
      await expect(each.begin(request(from, other))).rejects.toMatchObject({ code: 'UPGRADE_BUSY' });
    journal('confirmed');
    expect(await upgrade.begin(request(from, other))).toMatchObject({ phase: 'FETCHING' });
  });
});

describe('an upgrade that the host carries out', () => {
  it('is answered from its journal, and confirmed only by the version that it brought', async () => {
    const from = await origin();
    const before = node();
    await before.begin(request(from));
    await until(before, 'ORDERED');
    journal('unpacking');
    expect(before.status(ID).phase).toBe('UNPACKING');
    expect(() => before.confirm(ID)).toThrow(expect.objectContaining({ code: 'UPGRADE_NOT_CONFIRMED' }));
    expect(readConfirmation(layout, 'relay')).toBeUndefined();
    const after = node('1.2.0');
    expect(after.confirm('another')).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED' });
    expect(readConfirmation(layout, 'relay')).toBeUndefined();
    after.confirm(ID);
    expect(readConfirmation(layout, 'relay')).toEqual({ id: ID, version: '1.2.0' });
    journal('confirmed');
    expect(after.status(ID).phase).toBe('CONFIRMED');
  });

  it('waits while the host carries out that of another node, and can be withdrawn', async () => {
    const from = await origin();
    const upgrade = node();
    await upgrade.begin(request(from));
    await until(upgrade, 'ORDERED');
    journal('unpacking', 'another', 'mirror');
    for (const each of [upgrade, node()]) {
      expect(() => each.status(ID)).toThrow(expect.objectContaining({ code: 'UPGRADE_BUSY' }));
    }
    journal('confirmed', 'another', 'mirror');
    expect(upgrade.status(ID).phase).toBe('ORDERED');
    journal('unpacking', 'another', 'mirror');
    expect(await upgrade.withdraw(ID)).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED' });
    expect(readOrders(layout)).toEqual([]);
  });

  it('has nothing to do where another node of the host has brought the version', () => {
    const subject = { id: ID, why: 'upgrade', role: 'relay', to: '1.2.0', confirmWithinS: 120, at: 1 } as const;
    const failure = { code: 'UPGRADE_DOWNGRADE', message: '1.2.0 is not higher than 1.2.0' };
    writeJournal(layout, { phase: 'failed', ...subject, from: '1.2.0', ...failure });
    expect(node('1.2.0').status(ID).phase).toBe('ALREADY_THERE');
    expect(node('1.3.0').status(ID)).toMatchObject({ phase: 'FAILED', code: 'UPGRADE_DOWNGRADE' });
  });

  it('is not known where the journal of the host is damaged', async () => {
    const from = await origin();
    writeFileSync(layout.journal, '{');
    const unreadable: unknown = expect.objectContaining({ code: 'UPGRADE_JOURNAL_UNREADABLE' });
    expect(() => node().status(ID)).toThrow(unreadable);
    await expect(node().begin(request(from))).rejects.toThrow(unreadable);
  });

  it('is withdrawn only before that', async () => {
    const from = await origin();
    const upgrade = node();
    await upgrade.begin(request(from));
    await until(upgrade, 'ORDERED');
    expect(await upgrade.withdraw(ID)).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED' });
    expect(readOrders(layout)).toEqual([]);
    await upgrade.begin(request(from));
    await until(upgrade, 'ORDERED');
    journal('unpacking');
    expect(await upgrade.withdraw(ID)).toMatchObject({ phase: 'UNPACKING' });
    expect(readOrders(layout)).toHaveLength(1);
  });

  it('while it is fetched, a withdrawal ends the download', async () => {
    const from = await origin(slow(3, () => new Promise(() => undefined)));
    const upgrade = node();
    await upgrade.begin(request(from));
    await waitFor(() => upgrade.status(ID).receivedBytes > 0);
    expect(await upgrade.withdraw(ID)).toMatchObject({ phase: 'UPGRADE_PHASE_UNSPECIFIED' });
    expect(files()).toEqual([]);
  });
});
