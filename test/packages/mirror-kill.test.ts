// A mirror killed during a fetch: its file is complete or absent, and the next mirror resumes the fetch.
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { askForBlob } from '../../lib/blobs/blob-client.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { createTestMesh, type TestNode } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { noMesh } from '../support/no-mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { stallAt, startOrigin, type Origin } from './origin.ts';

const program = fileURLToPath(new URL('./mirror-process.ts', import.meta.url));
const body = randomBytes(3_000_000);
const sha256 = createHash('sha256').update(body).digest('hex');

async function startMirror(
  folder: string,
  self: TestNode,
  origin: Origin,
  under: readonly string[] = [],
): Promise<{ child: ChildProcess; url: string }> {
  const source = JSON.stringify({ kind: 'mesh', node: origin.node, path: [], url: origin.url });
  const args = [program, folder, self.dataDir, source, String(body.length)];
  const [command = '', ...options] = [...under, process.execPath, ...args];
  const child = spawn(command, options, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    if (child.exitCode === null && child.signalCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, url: `https://127.0.0.1:${line.toString().trim()}` };
}

async function get(url: string, client: TestNode, onChunk: () => void = () => undefined): Promise<Buffer> {
  const { identity, revocations } = client;
  const signal = new AbortController().signal;
  const stream = await connectSource(
    { kind: 'mesh', node: 'mirror-1', path: [], url },
    { mesh: noMesh(), identity, revocations, loopback: true },
    signal,
  );
  const chunks: Buffer[] = [];
  for await (const chunk of (
    await askForBlob(stream, { sha256, downloadToken: 'p', fromByte: 0, signal, stallMs: 10_000 })
  ).body) {
    chunks.push(chunk);
    onChunk();
  }
  return Buffer.concat(chunks);
}

it('kill -9 while it fetches: nothing short is there, and the rest is fetched by range', async () => {
  const mesh = await createTestMesh();
  const [self, client] = [await mesh.node('mirror-1', 'mirror'), await mesh.node('tentacle-1', 'tentacle')];
  const origin = await startOrigin(mesh, 'origin', body, stallAt(0.6));
  const folder = await tempDir();
  const first = await startMirror(folder, self, origin);
  const broken = get(first.url, client).catch(() => undefined);
  const partial = join(folder, 'partial', sha256);
  await waitFor(async () => (await stat(partial)).size >= 1_700_000, { what: 'most of 60 %' });
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  expect(await broken).toBeUndefined();
  expect((await readdir(join(folder, 'blobs'), { recursive: true })).filter((name) => name.includes('/'))).toEqual([]);

  const second = await startMirror(folder, self, origin);
  expect((await get(second.url, client)).equals(body)).toBe(true);
  expect(Number(/\d+/.exec(origin.requests[1]?.range ?? '')?.[0])).toBeGreaterThanOrEqual(1_700_000);
  await waitFor(async () => (await stat(join(folder, 'blobs', sha256.slice(0, 2), sha256))).size === body.length);
  expect(origin.requests.length).toBe(2);
});

it.skipIf(lacks('strace'))('kill -9 between the last byte and the rename: the next mirror serves it', async () => {
  const mesh = await createTestMesh();
  const [self, client] = [await mesh.node('mirror-1', 'mirror'), await mesh.node('tentacle-1', 'tentacle')];
  const origin = await startOrigin(mesh, 'origin', body);
  const folder = await tempDir();
  const renames = ['-e', 'trace=rename', '-e', 'inject=rename:signal=KILL'];
  const first = await startMirror(folder, self, origin, ['strace', '-f', '-qq', '-o', '/dev/null', ...renames]);
  const ended = once(first.child, 'exit');
  expect(await get(first.url, client).catch(() => undefined)).toBeUndefined();
  await ended;
  expect((await stat(join(folder, 'partial', sha256))).size).toBe(body.length);

  const second = await startMirror(folder, self, origin);
  expect((await get(second.url, client)).equals(body)).toBe(true);
  expect(origin.requests.length).toBe(1);
});
