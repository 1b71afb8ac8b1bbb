// A data folder that was copied: two processes of one node. One of them is the node, the other gets nothing and is told
// to the operator, whichever way they are linked. A whole mesh in one process.
import { existsSync } from 'node:fs';
import { cp, readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { start as startMirror } from '../../mirror/start.ts';
import { start as startRelay } from '../../relay/start.ts';
import { start as startTentacle } from '../../tentacle/start.ts';
import { heardLog } from '../support/heard-log.ts';
import { tcpLine } from '../support/tcp-line.ts';
import { waitFor } from '../support/wait.ts';
import { freePort } from '../support/world.ts';
import { WholeMesh, type JoinedNode } from './whole.ts';

const limitMs = 90_000;
const log = silentLogger();
const starts = { relay: startRelay, mirror: startMirror, tentacle: startTentacle };

interface Clone {
  readonly hostname: string;
  readonly address: string | null;
  readonly via: string;
}

/** A mesh that notices dead links within a second. */
async function meshUp(): Promise<WholeMesh> {
  const mesh = await WholeMesh.up();
  await mesh.stopServer();
  const config = mesh.config();
  await mesh.startServer({ ...config, mesh: { ...config.mesh, linkTimeoutS: 1 } });
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  return mesh;
}

async function start(role: keyof typeof starts, node: JoinedNode, logger = log) {
  const running = await starts[role](node, { log: logger });
  onTestFinished(() => running.stop());
  return running;
}

async function copyOf(node: JoinedNode, to: string): Promise<JoinedNode> {
  await cp(node.dataDir, to, { recursive: true });
  return { ...node, dataDir: to };
}

/** What the server shows about a denied process of a node. */
async function cloneOf(mesh: WholeMesh, id: string): Promise<Clone> {
  return waitFor(async () => ((await mesh.api.ask('GET', `/nodes/${id}`)).clones as Clone[])[0], {
    limitMs: 45_000,
    what: `the clone of ${id}`,
  });
}

/** Runs a script that appends its ticket's folder to a file; returns what the file has when all tasks have ended. */
async function witnessed(mesh: WholeMesh, count: number): Promise<string[]> {
  const witness = join(mesh.folder, `witness-${crypto.randomUUID()}`);
  const body = `echo "$PWD" >> '${witness}'`;
  const tasks = await Promise.all(
    Array.from({ length: count }, () => mesh.api.task('/scripts', { machines: ['web-1'], body })),
  );
  expect(tasks.map(({ state }) => state)).toEqual(tasks.map(() => 'succeeded'));
  return (await readFile(witness, 'utf8')).trimEnd().split('\n');
}

/** One tentacle that may be reached over two relays. */
async function behindTwoRelays(mesh: WholeMesh) {
  for (const id of ['eu-a', 'eu-b']) await mesh.add({ id, role: 'relay' });
  const joined = await mesh.join({ id: 'web-1', role: 'tentacle', parents: ['eu-a', 'eu-b'] });
  await (await starts.tentacle(joined, { log })).stop();
  const copy = await copyOf(joined, join(mesh.folder, 'web-1b'));
  const [a, b] = joined.parents;
  return { original: { ...joined, parents: [a!] }, copy: { ...copy, parents: [b!] } };
}

describe('a copied tentacle', () => {
  it.each([
    ['the original first', 0],
    ['the copy first', 1],
  ])(
    'behind another relay gets no ticket: %s',
    async (_, first) => {
      const mesh = await meshUp();
      const { original, copy } = await behindTwoRelays(mesh);
      const nodes = [original, copy] as const;
      await start('tentacle', nodes[first]!);
      await mesh.linked('web-1');
      const [before] = await witnessed(mesh, 1);
      expect(before).toContain(nodes[first]!.dataDir);
      const heard = heardLog();
      await start('tentacle', nodes[1 - first]!, heard.log);
      const ran = await witnessed(mesh, 15);
      expect(ran.map((folder) => folder.startsWith(`${nodes[first]!.dataDir}/`))).toEqual(ran.map(() => true));
      expect(ran).toHaveLength(15);
      const via = first === 0 ? 'eu-b' : 'eu-a';
      expect(await cloneOf(mesh, 'web-1')).toMatchObject({ hostname: hostname(), address: '127.0.0.1', via });
      const { items } = await mesh.api.ask('GET', '/events?type=node.cloned');
      expect(items).toMatchObject([{ subject: 'web-1', data: { via, address: '127.0.0.1' } }]);
      // It is denied again and again, and says so once.
      const told = () => heard.lines.filter(({ msg }) => msg === 'this process may not act as its node');
      await waitFor(() => told().length > 1, { what: 'another denial' });
      expect(told().filter(({ level }) => level === 'error')).toHaveLength(1);
    },
    limitMs,
  );

  it(
    'of a process that runs on is denied, behind the same relay too, until it is let in: then the other is',
    async () => {
      const mesh = await meshUp();
      await mesh.add({ id: 'eu-a', role: 'relay' });
      const original = await mesh.add({ id: 'web-1', role: 'tentacle', parent: 'eu-a' });
      const copy = await copyOf(original, join(mesh.folder, 'web-1b'));
      await start('tentacle', copy);
      expect(await cloneOf(mesh, 'web-1')).toMatchObject({ hostname: hostname(), via: 'eu-a' });
      const ran = await witnessed(mesh, 10);
      expect(ran.filter((folder) => folder.startsWith(`${original.dataDir}/`))).toHaveLength(10);
      expect(ran).toHaveLength(10);
      await mesh.api.ask('POST', '/nodes/web-1/reactivate', {});
      const after = await witnessed(mesh, 10);
      expect(after.filter((folder) => folder.startsWith(`${copy.dataDir}/`))).toHaveLength(10);
      expect(after).toHaveLength(10);
      // Now the one that ran before is the second process.
      expect(await cloneOf(mesh, 'web-1')).toMatchObject({ via: 'eu-a' });
    },
    limitMs,
  );
});

describe('a tentacle that was set back to a snapshot', () => {
  it(
    'is told as denied by all that explains why it is not reached',
    async () => {
      const mesh = await meshUp();
      await mesh.add({ id: 'eu-a', role: 'relay' });
      const joined = await mesh.join({ id: 'web-1', role: 'tentacle', parents: ['eu-a'] });
      await (await starts.tentacle(joined, { log })).stop();
      const snapshot = await copyOf(joined, join(mesh.folder, 'web-1b'));
      const later = await starts.tentacle(joined, { log });
      await mesh.linked('web-1');
      await witnessed(mesh, 1);
      await later.stop();
      await start('tentacle', snapshot);
      const { address } = await cloneOf(mesh, 'web-1');
      const denied = {
        code: 'NODE_CLONED',
        detail:
          `the process of web-1 on ${hostname()} (${address} via eu-a) is denied, ` +
          'and the one before it reports no more',
        action: { code: 'REACTIVATE_NODE', arguments: { node: 'web-1' } },
      };
      const pinged = await mesh.api.ask('POST', '/mesh/ping', { machine: 'web-1', count: 1 });
      expect(pinged.paths).toMatchObject([{ error: { ...denied, hop: 'web-1' } }]);
      const traced = await mesh.api.ask('POST', '/mesh/trace', { node: 'web-1' });
      const [{ hops }] = traced.paths as [{ hops: unknown[] }];
      expect(hops.at(-1)).toMatchObject({ node: 'web-1', error: denied });
      const checked = await mesh.api.task('/health-checks', { machines: ['web-1'] });
      expect(checked.machines[0]?.steps[0]?.error).toMatchObject({ code: 'NODE_CLONED', hop: 'web-1' });
      const task = await mesh.api.task('/scripts', { machines: ['web-1'], body: 'true', deadlineS: 2 });
      expect(task.machines[0]?.steps[0]).toMatchObject({
        state: 'timed_out',
        error: { code: 'NODE_CLONED', detail: `the deadline passed: ${denied.detail}`, hop: 'web-1' },
      });
      await mesh.api.ask('POST', '/nodes/web-1/reactivate', {});
      await witnessed(mesh, 1);
    },
    limitMs,
  );
});

interface BrokenLine {
  readonly through: (address: string) => Promise<string>;
  /** From now on nothing comes back from the node. */
  deafen(): void;
  /** From now on nothing is carried. */
  cut(): void;
}

/** A line that a node dials its parent over. */
function breakableLine(): BrokenLine {
  let carried: 'both' | 'to the node' | 'nothing' = 'both';
  return {
    async through(address) {
      const nodes = new Set<Socket>();
      const { address: line } = await tcpLine(() => address, {
        carry(one, other) {
          const fromNode = !nodes.has(other);
          if (fromNode) nodes.add(one);
          one.on('data', (bytes) => {
            if (carried === 'both' || (carried === 'to the node' && !fromNode)) other.write(bytes);
          });
          one.once('close', () => other.destroy());
        },
      });
      return line;
    },
    deafen: () => (carried = 'to the node'),
    cut: () => (carried = 'nothing'),
  };
}

describe('a script that was sent to a node that is cut off, before it answered,', () => {
  it.each([
    ['before it was sent', 'interrupted'],
    ['since', 'succeeded'],
  ] as const)(
    'does not run in a live copy that was made %s: it is %s',
    async (made, state) => {
      const mesh = await meshUp();
      const line = breakableLine();
      const original = await mesh.add({ id: 'web-1', role: 'tentacle', through: line.through });
      await witnessed(mesh, 1);
      const folder = join(mesh.folder, 'web-1b');
      const early = made === 'since' ? undefined : await copyOf(original, folder);
      line.deafen();
      const witness = join(mesh.folder, 'witness');
      const task = mesh.api.task('/scripts', { machines: ['web-1'], body: `echo "$PWD" >> '${witness}'` });
      await waitFor(() => existsSync(witness), { what: 'the script' });
      line.cut();
      const copy = early ?? (await copyOf(original, folder));
      await start('tentacle', { ...copy, parents: [{ node: 'server', address: mesh.address('server') }] });
      const ended = await task;
      expect(ended.state).toBe(state);
      if (state === 'interrupted') expect(ended.machines[0]?.steps[0]?.error).toMatchObject({ code: 'NODE_REPLACED' });
      // The copy is the node now, and runs what is new.
      const [later] = await witnessed(mesh, 1);
      expect(later).toContain(`${folder}/`);
      const ran = await readFile(witness, 'utf8');
      expect(ran.trimEnd().split('\n')).toEqual([expect.stringContaining(`${original.dataDir}/`)]);
    },
    limitMs,
  );
});

describe.each(['relay', 'mirror'] as const)('a copied %s', (role) => {
  it(
    'is denied',
    async () => {
      const mesh = await meshUp();
      const joined = await mesh.join({ id: 'eu', role });
      await (await starts[role](joined, { log })).stop();
      const copy = await copyOf(joined, join(mesh.folder, 'eu-2'));
      await start(role, joined);
      await mesh.linked('eu');
      await start(role, { ...copy, ...(role === 'relay' ? { listen: `127.0.0.1:${await freePort()}` } : {}) });
      expect(await cloneOf(mesh, 'eu')).toMatchObject({ via: 'eu', address: '127.0.0.1' });
      await mesh.linked('eu');
    },
    limitMs,
  );
});
