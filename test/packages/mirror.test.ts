// A mirror: one fetch for all requesters; wrong bytes are never served whole or kept; no file is ever short.
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { linkClientOptions } from '../../certs/tls.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { Denials } from '../../mesh/denials.ts';
import { listenOpenPort } from '../../mirror/open-port.ts';
import { createTestMesh, type TestMesh } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { startMirrorBench, testDownloadToken, type MirrorBench } from './mirror-bench.ts';
import {
  cutAt,
  short,
  silent,
  slow,
  stallAt,
  startOrigin,
  status,
  trickle,
  wrongBytes,
  type Behaviour,
} from './origin.ts';

const held = 64 * 1024;

interface Blob {
  readonly body: Buffer;
  readonly sha256: string;
  readonly sizeBytes: number;
}
function blob(sizeBytes: number): Blob {
  const body = randomBytes(sizeBytes);
  return { body, sha256: createHash('sha256').update(body).digest('hex'), sizeBytes };
}

let mesh: TestMesh;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  return () => removals.forEach((remove) => remove());
});

async function whole(mirror: MirrorBench, wanted: Blob, from = 0): Promise<void> {
  const { bytes, error } = await mirror.get(wanted, from);
  expect(error).toBeUndefined();
  expect(bytes.equals(wanted.body.subarray(from))).toBe(true);
}

async function stored(folder: string): Promise<string[]> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true });
  return names.filter((name) => name.includes('/')).map((name) => name.slice(3));
}

it.each([
  ['192.0.2.1:8444', 'ADDRESS_NOT_LOCAL'],
  ['nowhere', 'CONFIG_INVALID'],
])('the open port cannot be at %s', async (address, code) => {
  const { identity, revocations } = await mesh.node('mirror-port', 'mirror');
  const deps = { identity, revocations, denials: new Denials(), log: silentLogger(), onStream: () => undefined };
  await expect(listenOpenPort(address, deps)).rejects.toMatchObject({ code, field: 'feedListen' });
});

it('the open port lets a node in among hundreds of connections that say nothing, and denies those once', async () => {
  const { identity, revocations } = await mesh.node('mirror-port', 'mirror');
  const denials = new Denials();
  const admitted: string[] = [];
  const port = await listenOpenPort('127.0.0.1:0', {
    ...{ identity, revocations, denials, log: silentLogger() },
    onStream: (_, { node }) => admitted.push(node),
  });
  onTestFinished(() => port.stop());
  const silent = Array.from({ length: 600 }, () => {
    const socket = connect(port.port, '127.0.0.1').resume();
    socket.on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    return socket;
  });
  await waitFor(() => silent.some(({ closed }) => closed), { what: 'the first to give way' });
  const target = await mesh.identity('web-1', 'tentacle');
  const session = connectTls({ ...linkClientOptions(target), port: port.port, host: '127.0.0.1' });
  onTestFinished(() => void session.destroy());
  await waitFor(() => admitted.length > 0, { what: 'the node' });
  expect(admitted).toEqual(['web-1']);
  expect(denials.latest()).toMatchObject([{ code: 'RATE_LIMITED', by: '127.0.0.1', what: 'feed port' }]);
});

describe('pulling through', () => {
  it('asks a slow origin once for eight targets, and lets them follow', async () => {
    const wanted = blob(2_000_000);
    const folder = await tempDir();
    let received = 0;
    let early = 0;
    // The origin sends on only when a target has received what it sent so far.
    const next = async () => {
      const before = received;
      await waitFor(() => received > before || received >= 8 * (wanted.sizeBytes - held), { limitMs: 5_000 }).catch(
        () => undefined,
      );
      if (received > 0) early = Math.max(early, received);
    };
    const origin = await startOrigin(mesh, 'origin', wanted.body, slow(8, next));
    const mirror = await startMirrorBench(mesh, {
      folder,
      sources: [{ ...origin, path: [] }],
      onChunk: (bytes) => (received += bytes),
    });
    await Promise.all(Array.from({ length: 8 }, () => whole(mirror, wanted)));
    expect(origin.requests.length).toBe(1);
    expect(early).toBeGreaterThan(0);
    await whole(mirror, wanted, 1_234_567);
    expect(origin.requests.length).toBe(1);
    expect(await stored(folder)).toEqual([wanted.sha256]);
  });

  it('serves a range of what is still coming', async () => {
    const wanted = blob(500_000);
    const origin = await startOrigin(
      mesh,
      'origin',
      wanted.body,
      slow(4, () => Promise.resolve()),
    );
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources: [{ ...origin, path: [] }] });
    await Promise.all([whole(mirror, wanted), whole(mirror, wanted, 499_999), whole(mirror, wanted, 250_000)]);
    expect(origin.requests.length).toBe(1);
  });

  it('goes on at the next source where one was cut, and the targets notice nothing', async () => {
    const wanted = blob(1_000_000);
    const near = await startOrigin(mesh, 'near', wanted.body, cutAt(0.6));
    const far = await startOrigin(mesh, 'far', wanted.body);
    const sources = [near, far].map((origin) => ({ ...origin, path: [] }));
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources });
    await Promise.all([whole(mirror, wanted), whole(mirror, wanted)]);
    expect(Number(/\d+/.exec(far.requests[0]?.range ?? '')?.[0])).toBeGreaterThan(0);
  });

  it('leaves a source that is too slow, and the targets notice nothing', async () => {
    const wanted = blob(1_000_000);
    const near = await startOrigin(mesh, 'near', wanted.body, trickle(0.5, { bytes: 1, everyMs: 20 }));
    const far = await startOrigin(mesh, 'far', wanted.body);
    const sources = [near, far].map((origin) => ({ ...origin, path: [] }));
    const floor = { bytes: 50_000, withinMs: 300 };
    const floors = { 'open port': floor, mesh: floor, upstream: floor, 'passed on': floor, lowest: floor };
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources, floors });
    await Promise.all([whole(mirror, wanted), whole(mirror, wanted)]);
    expect([near, far].map(({ requests }) => requests.length)).toEqual([1, 1]);
    expect(Number(/\d+/.exec(far.requests[0]?.range ?? '')?.[0])).toBeGreaterThanOrEqual(500_000);
  });

  it.each([
    ['before the first byte', silent],
    ['later', stallAt(0.5)],
  ])('tells its targets that it is there while its source is not: %s', async (_, behaviour) => {
    const wanted = blob(1_000_000);
    const near = await startOrigin(mesh, 'near', wanted.body, behaviour);
    const far = await startOrigin(mesh, 'far', wanted.body);
    const sources = [near, far].map((origin) => ({ ...origin, path: [] }));
    const times = { stallMs: 1_600, targetStallMs: 800, limits: { signOfLifeMs: 100 } };
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources, ...times });
    await whole(mirror, wanted);
    expect([near, far].map(({ requests }) => requests.length)).toEqual([1, 1]);
  });

  it('holds the tail back until the digest has matched', async () => {
    const wanted = blob(1_000_000);
    const origin = await startOrigin(mesh, 'origin', wanted.body, stallAt(0.999_999));
    let received = 0;
    let beforeTheEnd = 0;
    const onChunk = (bytes: number) => {
      received += bytes;
      if (origin.requests.length === 1) beforeTheEnd = received;
    };
    const sources = [{ ...origin, path: [] }];
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources, stallMs: 1_000, onChunk });
    await whole(mirror, wanted);
    // Beside the tail it holds back a few bytes, to say that it is there.
    expect(beforeTheEnd).toBeLessThanOrEqual(wanted.sizeBytes - held);
    expect(beforeTheEnd).toBeGreaterThan(wanted.sizeBytes - held - 100);
  });

  it('goes on where it stopped after a restart', async () => {
    const wanted = blob(1_000_000);
    const folder = await tempDir();
    const origin = await startOrigin(mesh, 'origin', wanted.body, stallAt(0.5));
    const options = { folder, sources: [{ ...origin, path: [] }] };
    const before = await startMirrorBench(mesh, { ...options, onChunk: () => void before.stop() });
    const { bytes, error } = await before.get(wanted);
    expect(error?.code).toBe('SOURCE_FAILED');
    expect(bytes.equals(wanted.body.subarray(0, bytes.length))).toBe(true);
    expect(await stored(folder)).toEqual([]);
    const after = await startMirrorBench(mesh, options);
    await whole(after, wanted);
    expect(Number(/\d+/.exec(origin.requests[1]?.range ?? '')?.[0])).toBeGreaterThan(0);
  });
});

describe('wrong bytes', () => {
  const wanted = blob(1_000_000);
  const flipped = Buffer.from(wanted.body);
  flipped[10]! ^= 1;

  it('that came to be on its disk are dropped, and the next source is asked', async () => {
    const folder = await tempDir();
    const origin = await startOrigin(mesh, 'origin', wanted.body);
    const options = { folder, sources: [{ ...origin, path: [] }] };
    const before = await startMirrorBench(mesh, options);
    await whole(before, wanted);
    await before.stop();
    await writeFile(join(folder, 'blobs', wanted.sha256.slice(0, 2), wanted.sha256), flipped);
    const after = await startMirrorBench(mesh, options);
    await Promise.all([whole(after, wanted), whole(after, wanted, 500_000)]);
    await whole(after, wanted);
    expect(origin.requests.length).toBe(2);
    expect(await stored(folder)).toEqual([wanted.sha256]);
  });

  it('are never served whole and never kept', async () => {
    const folder = await tempDir();
    const origin = await startOrigin(mesh, 'liar', flipped);
    const mirror = await startMirrorBench(mesh, { folder, sources: [{ ...origin, path: [] }] });
    const all = await Promise.all([mirror.get(wanted), mirror.get(wanted), mirror.get(wanted, 999_000)]);
    for (const { bytes, error } of all) {
      expect(error).toBeDefined();
      expect(bytes.length).toBeLessThanOrEqual(wanted.sizeBytes - held);
    }
    expect(await stored(folder)).toEqual([]);
  });

  it('are replaced by those of the next source', async () => {
    const folder = await tempDir();
    const small = blob(10_000);
    const liar = await startOrigin(mesh, 'liar', small.body, wrongBytes(randomBytes(10_000)));
    const honest = await startOrigin(mesh, 'honest', small.body);
    const sources = [liar, honest].map((origin) => ({ ...origin, path: [] }));
    const mirror = await startMirrorBench(mesh, { folder, sources });
    // No byte of so small a blob was handed on before the mismatch, so the target does not even notice.
    await whole(mirror, small);
    expect([liar.requests.length, honest.requests.length]).toEqual([1, 1]);
  });
});

describe('cache-poison', () => {
  const wanted = blob(100_000);
  const good = `GET /v1/blobs/${wanted.sha256} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nAuthorization: Bearer ${testDownloadToken(wanted.sizeBytes)}\r\n`;
  const path = `/v1/blobs/${wanted.sha256}`;

  it.each([
    ['no download token', /Authorization.*\r\n/, '', ''],
    ['a wrong download token', 'Bearer size', 'Bearer other', `other-${wanted.sizeBytes}`],
  ])('%s is for who issues download tokens to deny', async (_, part, instead, downloadToken) => {
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources: [] });
    expect(await mirror.raw(`${good.replace(part, instead)}\r\n`)).toMatch(/^HTTP\/1\.1 403/);
    expect(mirror.deniedTokens).toEqual([downloadToken]);
  });

  it.each<[string, string, number]>([
    ['another path', good.replace(path, '/'), 404],
    ['an escaped slash', good.replace(path, `/v1/blobs%2F${wanted.sha256}`), 404],
    ['dots', good.replace(path, `/v1/blobs/../blobs/${wanted.sha256}`), 404],
    ['upper case', good.replace(path, path.toUpperCase()), 404],
    ['upper-case digest', good.replace(wanted.sha256, wanted.sha256.toUpperCase()), 404],
    ['a query', good.replace(path, `${path}?x=1`), 404],
    ['a fragment of more', good.replace(path, `${path}/x`), 404],
    ['a URL', good.replace(path, `https://elsewhere${path}`), 404],
    ['two download tokens', `${good}Authorization: Bearer x\r\n`, 400],
    ['two ranges', `${good}Range: bytes=0-1\r\nRange: bytes=5-9\r\n`, 400],
    ['a body', `${good}Content-Length: 5\r\n`, 400],
    ['another method', good.replace('GET', 'POST'), 405],
    ['HEAD of what is not here', good.replace('GET', 'HEAD'), 404],
    ['a range beyond the end', `${good}Range: bytes=100000-\r\n`, 416],
  ])('%s', async (_, request, expected) => {
    const origin = await startOrigin(mesh, 'origin', wanted.body);
    const folder = await tempDir();
    const mirror = await startMirrorBench(mesh, { folder, sources: [{ ...origin, path: [] }] });
    expect((await mirror.raw(`${request}\r\n`)).slice(0, 12)).toBe(`HTTP/1.1 ${expected}`);
    if (expected !== 416) {
      expect(origin.requests).toEqual([]);
      expect(await stored(folder)).toEqual([]);
    }
    await whole(mirror, wanted);
  });

  it('forwarded hosts, ranges and HEAD give the same bytes under the same key', async () => {
    const origin = await startOrigin(mesh, 'origin', wanted.body);
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), sources: [{ ...origin, path: [] }] });
    const part = await mirror.raw(`${good}X-Forwarded-Host: evil\r\nRange: bytes=10-19\r\n\r\n`);
    expect(part).toMatch(/^HTTP\/1\.1 206 .*content-range: bytes 10-19\/100000/is);
    expect(Buffer.from(part.slice(-10), 'latin1').equals(wanted.body.subarray(10, 20))).toBe(true);
    await waitFor(() => mirror.cache.sizeOf(wanted.sha256) !== undefined);
    const head = await mirror.raw(`${good.replace('GET', 'HEAD')}\r\n`);
    expect(head).toMatch(/^HTTP\/1\.1 200 .*content-length: 100000/is);
    expect(head).toContain(`repr-digest: sha-256=:${Buffer.from(wanted.sha256, 'hex').toString('base64')}:`);
    expect(head.endsWith('\r\n\r\n')).toBe(true);
    await whole(mirror, wanted);
    expect(origin.requests).toEqual([
      { url: path, range: undefined, authorization: `Bearer ${testDownloadToken(wanted.sizeBytes)}` },
    ]);
  });

  it.each<[string, Behaviour]>([
    ['206', status(206)], ['404', status(404)], ['500', status(500)], ['302', status(302, { location: '/v1/blobs/other' })],
    ['a short 200', short],
  ])('an answer of %s is not kept', async (_, behaviour) => {
    const folder = await tempDir();
    const origin = await startOrigin(mesh, 'origin', wanted.body, behaviour);
    const mirror = await startMirrorBench(mesh, { folder, sources: [{ ...origin, path: [] }] });
    await mirror.get(wanted);
    expect((await stored(folder)).every((name) => name === wanted.sha256)).toBe(true);
    await whole(mirror, wanted);
  }); // prettier-ignore

  it('cuts off who has no certificate, and who never ends its headers', async () => {
    const mirror = await startMirrorBench(mesh, {
      folder: await tempDir(),
      sources: [],
      limits: { headerTimeoutMs: 100 },
    });
    expect(await mirror.raw(good)).toBe('');
    expect(await mirror.raw(`${good}X-Long: ${'x'.repeat(20_000)}\r\n\r\n`)).toBe('');
  });

  it('answers 503 above its cap, and is there again afterwards', async () => {
    const proceed = Promise.withResolvers<void>();
    const origin = await startOrigin(
      mesh,
      'origin',
      wanted.body,
      slow(2, () => proceed.promise),
    );
    const options = { sources: [{ ...origin, path: [] }], limits: { maxRequests: 1 }, stallMs: 30_000 };
    const mirror = await startMirrorBench(mesh, { folder: await tempDir(), ...options });
    const first = mirror.get(wanted);
    await waitFor(() => origin.requests.length === 1);
    expect(await mirror.raw(`${good}\r\n`)).toMatch(/^HTTP\/1\.1 503 .*retry-after: 1/is);
    proceed.resolve();
    expect((await first).bytes.equals(wanted.body)).toBe(true);
    // The requester has the last byte a moment before the mirror knows.
    await waitFor(async () => {
      await whole(mirror, wanted);
      return true;
    });
  });
});

describe('room', () => {
  it('evicts what was not asked for longest, and keeps within the quota', async () => {
    // Each origin has only one of them, and the size tells which.
    const blobs = [blob(400_000), blob(400_001), blob(400_002)] as const;
    const folder = await tempDir();
    const origins = await Promise.all(blobs.map(({ body }, i) => startOrigin(mesh, `origin-${i}`, body)));
    const sources = origins.map((origin) => ({ ...origin, path: [] }));
    const mirror = await startMirrorBench(mesh, { folder, sources, quotaBytes: 1_000_000 });
    await whole(mirror, blobs[0]);
    await whole(mirror, blobs[1]);
    await whole(mirror, blobs[0]);
    await whole(mirror, blobs[2]);
    expect((await stored(folder)).sort()).toEqual([blobs[0].sha256, blobs[2].sha256].sort());
    expect(mirror.blobs.usedBytes).toBeLessThanOrEqual(1_000_000);
  });

  it('does not empty itself for what it has no room for all the same', async () => {
    const [small, large] = [blob(100_000), blob(500_000)];
    const origins = [await startOrigin(mesh, 'small', small.body), await startOrigin(mesh, 'large', large.body)];
    const sources = origins.map((origin) => ({ ...origin, path: [] }));
    const folder = await tempDir();
    const before = await startMirrorBench(mesh, { folder, sources });
    await whole(before, small);
    await before.stop();
    const mirror = await startMirrorBench(mesh, { folder, sources, minFreeBytes: 10 ** 15 });
    await whole(mirror, large);
    expect(await stored(folder)).toEqual([small.sha256]);
  });

  it.each([
    ['the quota', { quotaBytes: 100_000 }],
    ['the mark of free space', { minFreeBytes: Number.MAX_SAFE_INTEGER }],
  ])('lets through uncached what %s has no room for: whole, ranges too, and never wrong', async (_, limits) => {
    const wanted = blob(3_000_000);
    const folder = await tempDir();
    const origin = await startOrigin(mesh, 'origin', wanted.body, cutAt(0.5));
    const mirror = await startMirrorBench(mesh, { folder, sources: [{ ...origin, path: [] }], ...limits });
    await whole(mirror, wanted);
    await whole(mirror, wanted, 2_999_990);
    expect(await stored(folder)).toEqual([]);
    const flipped = Buffer.from(wanted.body);
    flipped[0]! ^= 1;
    origin.behave(...Array.from({ length: 3 }, () => wrongBytes(flipped)));
    const { bytes, error } = await mirror.get(wanted);
    expect(error).toBeDefined();
    expect(bytes.length).toBeLessThanOrEqual(wanted.sizeBytes - held);
  });

  it.skipIf(lacks('linux', 'root'))(
    'a disk that is full after all: every target gets the whole, nothing short stays',
    async () => {
      const folder = await mkdtemp(join(tmpdir(), 'isthmus-small-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder]);
      onTestFinished(() => void execFileSync('sh', ['-c', 'umount -l "$0" && rmdir "$0"', folder]));
      const wanted = blob(3_000_000);
      const small = blob(300_000);
      const first = await startOrigin(mesh, 'first', small.body);
      const origin = await startOrigin(
        mesh,
        'origin',
        wanted.body,
        slow(6, () => Promise.resolve()),
      );
      const sources = [origin, first].map((each) => ({ ...each, path: [] }));
      // Without a limit of free space, only a failing write shows that the disk is full.
      const mirror = await startMirrorBench(mesh, { folder, sources, minFreeBytes: -(10 ** 12) });
      await whole(mirror, small);
      await Promise.all(Array.from({ length: 3 }, () => whole(mirror, wanted)));
      await waitFor(async () => (await readdir(join(folder, 'partial'))).length === 0);
      expect(await stored(folder)).toEqual([]);
      await whole(mirror, small);
      expect(await stored(folder)).toEqual([small.sha256]);
    },
  );
});
