// The certificates of every node on a route are renewed while a script runs over it, and the old ones expire: no link
// is dialled again, no session is opened again, and the log has every line once.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import type { NodeRole } from '../../contract/nodes.ts';
import type { LinkStatus } from '../../mesh/types.ts';
import { start as startRelay } from '../../relay/start.ts';
import { submitScript } from '../../server/scripts/script-task.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { startControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { heardLog } from '../support/heard-log.ts';
import type { TestNode } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { actor, addMachine, ended, startRealTasks } from './harness.ts';

/** All nodes start and link well within the two thirds after which they renew, even on a busy machine. */
const lifetimeMs = 40_000;

/** A node that the server knows, with a certificate that may be renewed. */
async function addNode(
  { authority, store }: ControlPlane,
  id: string,
  role: NodeRole,
  nowMs: number,
): Promise<TestNode> {
  const node = await authority.node(id, role, { site: 'eu', lifetimeMs, nowMs });
  const { serialNumber: serial, notBeforeMs: notBefore, notAfterMs: notAfter } = node.identity.peer();
  if (role === 'relay') {
    const row = { id, role, site: 'eu', parents: [{ node: 'server', dialAddress: null }], createdAt: nowMs };
    await store.transaction((tx) => tx.nodes.insert(row));
  } else await addMachine(store, id, { roles: [], routes: [{ kind: 'path', via }], environments: ['prod'] });
  await store.transaction((tx) =>
    tx.nodes.insertCertificate({ serial, node: id, notBefore, notAfter, issuedAt: nowMs }),
  );
  return node;
}

const via = ['eu', 'eu-pci'];

it('a script behind two relays goes on when all certificates on its path are renewed and the old ones expire', async () => {
  const nowMs = Date.now();
  const server = await startControlPlane({ identity: { lifetimeMs, nowMs } });
  const { log, lines: heard } = heardLog();
  const [upper, lower] = [await addNode(server, 'eu', 'relay', nowMs), await addNode(server, 'eu-pci', 'relay', nowMs)];
  const web = await addNode(server, 'web-1', 'tentacle', nowMs);
  const listen = '127.0.0.1:0';
  const first = await startRelay(
    { dataDir: upper.dataDir, listen, parents: [{ node: 'server-1', address: server.address }] },
    { log },
  );
  onTestFinished(() => first.stop());
  const second = await startRelay(
    { dataDir: lower.dataDir, listen, parents: [{ node: 'eu', address: first.addresses.mesh! }] },
    { log },
  );
  onTestFinished(() => second.stop());
  const tentacle = await startTentacle(
    { dataDir: web.dataDir, parents: [{ node: 'eu-pci', address: second.addresses.mesh! }] },
    { log },
  );
  onTestFinished(() => tentacle.stop());
  const { store, authority, mesh } = server;
  let dials = 0;
  startRealTasks(store, authority, (options) => {
    dials += 1;
    return mesh.dial(options);
  });
  const latch = join(await tempDir(), 'latch');
  const body = `i=0; until [ -e ${latch} ]; do i=$((i + 1)); echo "line $i"; sleep 0.1; done; echo last`;
  const { id } = await store.transaction((tx) => submitScript(tx, { body, machines: ['web-1'] }, actor));
  const stored = async (): Promise<number> => (await store.tickets.byTask(id))[0]?.storedLine ?? 0;
  await waitFor(async () => (await stored()) > 10, { limitMs: lifetimeMs / 2, what: 'the first lines' });
  const upSince = (): unknown => mesh.links().map(({ peer, up, upSinceMs }: LinkStatus) => ({ peer, up, upSinceMs }));
  const [linksBefore, dialsBefore, heardBefore] = [upSince(), dials, heard.length];
  expect(Date.now()).toBeLessThan(nowMs + lifetimeMs / 2);

  const expiredAtMs = nowMs + lifetimeMs + 1_000;
  await waitFor(() => Date.now() > expiredAtMs, { limitMs: 2 * lifetimeMs, what: 'the end of the first certificates' });
  const linesThen = await stored();
  await waitFor(async () => (await stored()) > linesThen + 10, { what: 'lines after it' });
  await writeFile(latch, '');
  expect(await ended(store, id)).toMatchObject({ state: 'succeeded' });

  const since = heard.slice(heardBefore).map(({ msg }) => msg);
  expect(since.filter((message) => message === 'certificate renewed')).toHaveLength(3);
  expect(await server.events('node.renewed')).toHaveLength(4);
  expect(upSince()).toEqual(linksBefore);
  expect(dials).toBe(dialsBefore);
  const losses = ['link up', 'link lost', 'link not up', 'reporting to the server was interrupted'];
  expect(since.filter((message) => losses.includes(message))).toEqual([]);
  const [ticket] = await store.tickets.byTask(id);
  const lines = await store.logLines.read(ticket!.id, 0, 100_000);
  expect(lines.map(({ line }) => line)).toEqual(lines.map((_, index) => index + 1));
  const counted = lines.slice(0, -1).map((_, index) => `line ${index + 1}`);
  expect(lines.map(({ text }) => text)).toEqual([...counted, 'last']);
});
