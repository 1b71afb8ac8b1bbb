// A node after it has joined: its certificate is renewed, also when an answer is lost; it is revoked, on live links; it
// is assigned children to dial, and dials them also while the server is away.
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Authority } from '../../certs/authority.ts';
import { keepRenewed, renewOnce, renewOverMesh, type Renewer } from '../../certs/renewal.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { readStatus } from '../../host/status.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { reportToServer } from '../../node/report.ts';
import { AbandonedSources } from '../../node/sources/abandoned.ts';
import type { Mesh } from '../../mesh/types.ts';
import { readAssignment } from '../../relay/assignment.ts';
import * as relay from '../../relay/start.ts';
import { publishRevocations, revocationSubscription, revokeNode } from '../../server/enrolment/revocation.ts';
import { EventSubscriptions } from '../../server/events/subscriptions.ts';
import { openStore } from '../../server/store/store.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { createTestMesh, type TestNode, type TestNodeOptions } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import type { NodeRole } from '../../contract/nodes.ts';
import { waitFor } from '../support/wait.ts';

/** A joined node: a row at the server, an identity, and a running mesh below the server. */
async function startJoined(
  server: ControlPlane,
  id: string,
  role: NodeRole = 'tentacle',
  options: TestNodeOptions = {},
): Promise<TestNode & { mesh: Mesh; renew: Renewer }> {
  const node = await server.authority.node(id, role, options);
  await insertRow(server, { id, role });
  const { serialNumber: serial, notBeforeMs: notBefore, notAfterMs: notAfter } = node.identity.peer();
  await server.store.transaction((tx) =>
    tx.nodes.insertCertificate({ serial, node: id, notBefore, notAfter, issuedAt: Date.now() }),
  );
  const mesh = await createMesh(
    { parents: [{ node: 'server-1', address: server.address }], dials: [] },
    { ...node, log: silentLogger(), relaying: false, services: MESH_SERVICES, limits: { backoffBaseMs: 20 } },
  );
  onTestFinished(() => mesh.stop());
  await waitFor(() => mesh.links()[0]?.up, { what: 'the link' });
  const renew = renewOverMesh((signal) =>
    mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 5_000, signal }),
  );
  return { ...node, mesh, renew };
}

async function insertRow(
  server: ControlPlane,
  row: { id: string; role: NodeRole; parent?: string; dialAddress?: string },
): Promise<void> {
  const { id, role, parent = 'server', dialAddress = null } = row;
  await server.store.transaction((tx) =>
    tx.nodes.insert({ id, role, site: 'eu', parents: [{ node: parent, dialAddress }], createdAt: Date.now() }),
  );
}

/** A relay that has joined and not started, and the mesh of a tentacle that waits for it to dial. */
async function relayAndChild(server: ControlPlane): Promise<{ node: TestNode; mesh: Mesh }> {
  const node = await server.authority.node('eu', 'relay');
  await insertRow(server, { id: 'eu', role: 'relay' });
  const child = await server.authority.node('web-1', 'tentacle');
  const mesh = await createMesh(
    { listen: '127.0.0.1:0', parents: [{ node: 'eu' }], dials: [] },
    { ...child, log: silentLogger(), relaying: false, services: MESH_SERVICES },
  );
  onTestFinished(() => mesh.stop());
  return { node, mesh };
}

test('a renewal brings a new key and certificate, in use at once and written down', async () => {
  const server = await startControlPlane();
  const { identity, renew, mesh } = await startJoined(server, 'web-1');
  const before = identity.current();
  await renewOnce(identity, renew);
  expect(identity.current().keyPem).not.toBe(before.keyPem);
  expect(identity.peer().serialNumber).not.toBe('');
  const [certificate] = await server.store.nodes.certificates('web-1');
  expect(certificate?.serial).toBe(identity.peer().serialNumber);
  expect(await server.events('node.renewed')).toHaveLength(1);
  expect(identity.pendingKey()).toBeUndefined();
  const stream = await mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 5_000 });
  stream.destroy();
});

test('a renewal whose answer was lost is asked for again with the same key, and answered the same', async () => {
  const server = await startControlPlane();
  const { identity, renew } = await startJoined(server, 'web-1');
  const answers: string[] = [];
  const losing: Renewer = async (pending) => {
    answers.push(await renew(pending));
    throw new Error('the answer was lost');
  };
  await expect(renewOnce(identity, losing)).rejects.toThrow('lost');
  const pending = identity.pendingKey();
  expect(pending).toBeDefined();
  await renewOnce(identity, async (again) => {
    answers.push(await renew(again));
    return answers[1] ?? '';
  });
  expect(identity.current().keyPem).toBe(pending);
  expect(answers[0]).toBe(answers[1]);
  expect(await server.events('node.renewed')).toHaveLength(1);
});

test('certificates are renewed by themselves before they expire, and the mesh goes on with the new one', async () => {
  const server = await startControlPlane();
  const { identity, renew, mesh } = await startJoined(server, 'web-1', 'tentacle', { lifetimeMs: 6_000 });
  const first = identity.peer();
  const renewal = keepRenewed({ identity, renew, log: silentLogger() });
  onTestFinished(() => renewal.stop());
  await waitFor(() => identity.peer().serialNumber !== first.serialNumber, { what: 'the renewal' });
  expect(Date.now()).toBeLessThan(first.notAfterMs);
  await waitFor(() => Date.now() > first.notAfterMs + 500, { what: 'the end of the first certificate' });
  await waitFor(() => mesh.links()[0]?.up, { what: 'the link, with the new certificate' });
  const stream = await mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 5_000 });
  stream.destroy();
});

test('a node without a row cannot renew', async () => {
  const server = await startControlPlane();
  const { identity, renew } = await startJoined(server, 'web-1');
  await server.store.transaction((tx) => tx.nodes.revoke('web-1', Date.now()));
  await expect(renewOnce(identity, renew)).rejects.toMatchObject({ code: 'PEER_CERTIFICATE_REVOKED' });
  expect(await server.events('node.renewed')).toHaveLength(0);
});

test('revocation cuts a live link within five seconds and lets the node in no more', async () => {
  const server = await startControlPlane();
  const { mesh } = await startJoined(server, 'web-1');
  const other = await startJoined(server, 'web-2');
  const revokedAtMs = Date.now();
  await server.revoke('web-1');
  await waitFor(() => server.mesh.links().every(({ peer, up }) => peer !== 'web-1' || !up), { limitMs: 5_000 });
  expect(Date.now() - revokedAtMs).toBeLessThan(5_000);
  await expect(
    mesh.dial({ node: 'server', service: 'identity', class: 'control', deadlineMs: 1_500 }),
  ).rejects.toMatchObject({ name: 'IsthmusError' });
  expect(await server.events('node.revoked')).toHaveLength(1);
  await server.revoke('web-1');
  expect(await server.events('node.revoked')).toHaveLength(1);
  expect(other.mesh.links()[0]?.up).toBe(true);
  await waitFor(() => other.revocations.version > 0, { what: 'the list to reach the others' });
});

test('a server does not revoke itself', async () => {
  const server = await startControlPlane();
  await expect(server.revoke('server-1')).rejects.toMatchObject({ code: 'FORBIDDEN' });
  expect(await server.events('node.revoked')).toHaveLength(0);
});

test('a revocation that was stored and not published before a crash is published at the next start', async () => {
  const server = await startControlPlane();
  await insertRow(server, { id: 'web-1', role: 'tentacle' });
  await server.store.transaction((tx) => tx.nodes.revoke('web-1', Date.now()));
  const { revocations } = server.node;
  const deps = {
    store: server.store,
    authority: server.authority.authority,
    revocations,
    log: silentLogger(),
    self: 'server-1',
  };
  expect(revocations.version).toBe(0);
  expect(await publishRevocations(deps)).toBe(true);
  expect(revocations.entries().map(({ node }) => node)).toEqual(['web-1']);
  expect(await publishRevocations(deps)).toBe(false);
  // A version higher than any in a restored backup.
  expect(revocations.version).toBeGreaterThan(Date.now() - 60_000);
});

test('a revocation that could not be published is published as soon as it can be', async () => {
  const [dataDir, log] = [await tempDir(), silentLogger()];
  const { authority, authorityPem, meshId } = await createTestMesh();
  const store = await openStore({ dataDir, log });
  onTestFinished(() => store.close());
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId, log);
  let attempts = 0;
  const failingTwice = {
    meshId,
    sign(...given: Parameters<Authority['sign']>) {
      attempts += 1;
      if (attempts <= 2) throw new Error('no');
      return authority.sign(...given);
    },
  } as Authority;
  const events = new EventSubscriptions({ store, log, retry: { baseMs: 1, capMs: 5, jitter: 'half' } });
  const deps = { store, authority: failingTwice, revocations, log, self: 'server-1' };
  events.subscribe('revocation-list', revocationSubscription(deps));
  await events.start();
  onTestFinished(() => events.stop());
  await store.transaction(async (tx) => {
    await tx.nodes.insert({ id: 'web-1', role: 'tentacle', site: null, parents: [], createdAt: 1 });
    await revokeNode(tx, 'web-1', 'test', 'server-1');
  });
  await waitFor(() => revocations.version > 0, { what: 'the list' });
  expect(revocations.entries().map(({ node }) => node)).toEqual(['web-1']);
  expect(attempts).toBe(3);
});

test('a relay reports, is told whom to dial, and restarted without its server dials them again', async () => {
  const server = await startControlPlane();
  const { node, mesh } = await relayAndChild(server);
  const config = { dataDir: node.dataDir, listen: '127.0.0.1:0' };
  const first = await relay.start(
    { ...config, parents: [{ node: 'server-1', address: server.address }] },
    { log: silentLogger() },
  );
  let running = first;
  onTestFinished(() => running.stop());
  await waitFor(async () => (await server.store.nodes.get('eu')).report !== null, { what: 'the report' });
  expect(await server.store.nodes.get('eu')).toMatchObject({
    report: { links: [{ peer: 'server-1', relation: 'parent', up: true, dialledBy: 'us' }] },
  });
  expect(readAssignment(node.dataDir)).toEqual([]);
  await waitFor(() => readStatus(node.dataDir)?.state === 'connected', { what: 'the status' });
  await insertRow(server, { id: 'web-1', role: 'tentacle', parent: 'eu', dialAddress: mesh.address ?? '' });
  await waitFor(() => mesh.links()[0]?.up, { what: 'the relay to dial' });
  await first.stop();
  await waitFor(() => mesh.links()[0]?.up === false, { what: 'the link to go down' });
  running = await relay.start(
    { ...config, parents: [{ node: 'server-1', address: '127.0.0.1:1' }] },
    { log: silentLogger() },
  );
  await waitFor(() => mesh.links()[0]?.up, { what: 'the relay to dial without its server' });
  await waitFor(() => readStatus(node.dataDir)?.code !== undefined, { what: 'the status' });
  const detail = 'no link to the parent server-1 at 127.0.0.1:1';
  expect(readStatus(node.dataDir)).toMatchObject({
    component: 'relay',
    state: 'disconnected',
    code: 'UNREACHABLE',
    detail,
  });
});

test('a relay whose disk takes nothing more dials whom it is told to and cuts off who is revoked', async () => {
  const server = await startControlPlane();
  const { node, mesh } = await relayAndChild(server);
  const parents = [{ node: 'server-1', address: server.address }];
  const running = await relay.start({ dataDir: node.dataDir, listen: '127.0.0.1:0', parents }, { log: silentLogger() });
  onTestFinished(() => running.stop());
  await waitFor(() => existsSync(join(node.dataDir, 'assignment.json')), { what: 'the first assignment' });
  for (const name of ['assignment.json', 'revocations.bin']) {
    // No file can be created where a folder is.
    rmSync(join(node.dataDir, name), { force: true });
    mkdirSync(join(node.dataDir, name));
  }
  await insertRow(server, { id: 'web-1', role: 'tentacle', parent: 'eu', dialAddress: mesh.address ?? '' });
  await waitFor(() => mesh.links()[0]?.up, { what: 'the relay to dial' });
  await server.revoke('web-1');
  await waitFor(() => mesh.links()[0]?.up === false, { what: 'the relay to cut it off' });
});

test('what a node reports after it was revoked is not taken', async () => {
  const server = await startControlPlane();
  const { mesh } = await startJoined(server, 'web-1');
  await server.store.transaction((tx) => tx.nodes.revoke('web-1', Date.now()));
  const node = await server.authority.node('web-1', 'tentacle');
  const reports = reportToServer({ mesh, identity: node.identity, log: silentLogger(), dataDir: node.dataDir });
  onTestFinished(() => reports.stop());
  // Long enough for the first report of an accepted stream: others are written within half a second.
  const accepted = await waitFor(async () => (await server.store.nodes.get('web-1')).report !== null, {
    limitMs: 1_500,
  }).catch(() => false);
  expect(accepted).toBe(false);
});

test('a source that a node left because it was too slow is an event, once', async () => {
  const server = await startControlPlane();
  const node = await startJoined(server, 'mirror-1', 'mirror');
  await insertRow(server, { id: 'mirror-2', role: 'mirror' });
  const abandonedSources = new AbandonedSources();
  const sha256 = 'a'.repeat(64);
  const spell = { sha256, bytes: 9, ms: 10_000 };
  const { mesh, identity, dataDir } = node;
  const reports = reportToServer({ mesh, identity, log: silentLogger(), dataDir, abandonedSources });
  onTestFinished(() => reports.stop());
  for (const source of ['mirror-2', 'mirror-2', 'no-node', 'server']) abandonedSources.record(source, spell);
  const told = () => server.events('source.abandoned');
  await waitFor(async () => (await told()).length === 2, { what: 'both events' });
  abandonedSources.record('mirror-1', spell);
  await waitFor(async () => (await told()).length === 3, { what: 'the event of a later report' });
  expect(await told()).toMatchObject([
    { actor: 'mirror-1', subject: 'mirror-2', data: { by: 'mirror-1', sha256, bytes: 9, ms: 10_000 } },
    { actor: 'mirror-1', subject: 'server' },
    { actor: 'mirror-1', subject: 'mirror-1' },
  ]);
});
