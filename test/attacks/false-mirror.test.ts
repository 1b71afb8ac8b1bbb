// A mirror that serves other bytes, or answers at another mirror's address: its machines get the package elsewhere, and
// the denials name it.
import { expect, it, onTestFinished } from 'vitest';
import { IdentityStore } from '../../certs/identity.ts';
import { RevocationList } from '../../certs/revocations.ts';
import { MESH_SERVICES } from '../../contract/services.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { createMesh } from '../../mesh/mesh.ts';
import { reportToServer } from '../../node/report.ts';
import { tarGz } from '../packages/craft.ts';
import { startOrigin, wrongBytes } from '../packages/origin.ts';
import { WholeMesh } from '../server/whole.ts';
import { waitFor } from '../support/wait.ts';

const log = silentLogger();
const bytes = tarGz([{ name: './hello.txt', content: 'hello' }]);
const wrong = Buffer.from(bytes);
wrong[4]! ^= 1;

/** A mesh with a release to deploy to web-1, whose nearest mirror is served by `serving`. */
async function field(serving: 'mirror-1' | 'mirror-2') {
  const mesh = await WholeMesh.up();
  const { api } = mesh;
  await api.ask('POST', '/sites', { id: 'eu' });
  await api.ask('POST', '/environments', { id: 'prod' });
  const joined = {
    'mirror-1': await mesh.join({ id: 'mirror-1', role: 'mirror' }),
    'mirror-2': await mesh.join({ id: 'mirror-2', role: 'mirror' }),
  };
  const server = (await IdentityStore.open(joined[serving].dataDir)).current();
  const origin = await startOrigin({ identity: () => Promise.resolve(server) }, serving, bytes, wrongBytes(wrong));
  const { dataDir, parents } = joined['mirror-1'];
  const identity = await IdentityStore.open(dataDir);
  const { authorityPem, meshId } = identity.current();
  const revocations = await RevocationList.open(dataDir, authorityPem, meshId);
  const runtime = await createMesh(
    { parents, dials: [] },
    { identity, revocations, log, relaying: false, services: MESH_SERVICES },
  );
  onTestFinished(() => runtime.stop());
  const extra = () => ({ feedUrl: origin.url, cachedBytes: 0 });
  const reports = reportToServer({ mesh: runtime, identity, log, dataDir, extra });
  onTestFinished(() => reports.stop());
  const reported = async () => (await api.ask('GET', '/nodes/mirror-1'))['feedUrl'] === origin.url;
  await waitFor(reported, { what: 'the report of mirror-1' });

  const machine = { ...(await mesh.join({ id: 'web-1', role: 'tentacle' })), feedLoopback: true };
  await mesh.startNode({ id: 'web-1', role: 'tentacle' }, machine);
  await api.ask('POST', '/packages?id=site&version=1.0.0&format=tar.gz', bytes);
  const step = { name: 'web', kind: 'package', targetRoles: [], package: { id: 'site' } };
  await api.ask('POST', '/projects', { id: 'shop', steps: [step] });
  await api.ask('POST', '/projects/shop/releases', { version: '1.0.0' });
  return { api, origin };
}

it.each([
  ['mirror-1', 'serves other bytes', 'PACKAGE_HASH_MISMATCH', 1],
  ['mirror-2', 'is another than its address says', 'PEER_UNEXPECTED', 0],
] as const)('a mirror (%s) that %s is rejected, skipped and reported', async (serving, _, code, requests) => {
  const { api, origin } = await field(serving);
  const task = await api.task('/deployments', { project: 'shop', release: '1.0.0', environment: 'prod' });
  expect(task, JSON.stringify(task)).toMatchObject({ state: 'succeeded' });
  const acquired = task.machines[0]?.steps.find(({ action }) => action === 'acquire');
  expect(acquired?.detail).toMatchObject({ from: 'server' });
  expect(origin.requests).toHaveLength(requests);
  const told = await waitFor(async () => {
    const { items } = await api.ask('GET', '/events?denied=true&type=peer.denied');
    return (items as object[]).length > 0 && items;
  });
  expect(told).toMatchObject([{ actor: 'web-1', subject: 'mirror-1', data: { code, what: 'feed' } }]);
});
