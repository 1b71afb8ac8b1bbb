// One blob from several sources, over real TLS: a cut download goes on at another source, wrong bytes are never kept.
import { createHash, randomBytes } from 'node:crypto';
import { readFile, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { askForBlob, askForPiece, type BlobAnswer } from '../../lib/blobs/blob-client.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import { fetchBlob } from '../../lib/blobs/fetch.ts';
import { nameOf, type MeshSource, type Source, type UpstreamSource } from '../../lib/blobs/source.ts';
import { SourceStates, type SourceStatesOptions } from '../../lib/blobs/source-states.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { FLOORS, type Floor } from '../../lib/blobs/progress-floor.ts';
import { connectSource } from '../../node/sources/connect.ts';
import { createTestMesh, type TestMesh, type TestNode } from '../support/identities.ts';
import { noMesh } from '../support/no-mesh.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import {
  cutAt,
  good,
  short,
  slow,
  stallAt,
  startOrigin,
  status,
  trickle,
  wrongBytes,
  type Behaviour,
  type Origin,
  type Served,
} from './origin.ts';

const body = randomBytes(1_000_000);
const sha256 = createHash('sha256').update(body).digest('hex');
const sizeBytes = body.length;

let mesh: TestMesh;
let self: TestNode;
beforeAll(async () => {
  const removals: (() => void)[] = [];
  mesh = await createTestMesh('test-mesh', (remove) => removals.push(remove));
  self = await mesh.node('tentacle-1', 'tentacle');
  return () => removals.forEach((remove) => remove());
});

const at = (node: string): MeshSource => ({ kind: 'mesh', node, path: [] });

function statesOf(options: Partial<SourceStatesOptions> = {}): SourceStates {
  const states = new SourceStates({ log: silentLogger(), ...options });
  onTestFinished(() => states.stop());
  return states;
}

/** Fetches into an empty store from these origins, nearest first. */
async function fetch(
  origins: readonly ({ readonly node: string; readonly url: string } | UpstreamSource)[],
  { rounds = 1, stallMs = 5_000, floor, lowest = FLOORS.lowest, store, signal = new AbortController().signal, states = statesOf() }: {
    rounds?: number; stallMs?: number; floor?: Floor; lowest?: Floor; store?: BlobStore; signal?: AbortSignal; states?: SourceStates;
  } = {}, // prettier-ignore
) {
  const blobs = store ?? (await BlobStore.open(await tempDir()));
  const target = await blobs.resume({ sha256, sizeBytes });
  onTestFinished(() => target.close());
  const access = { mesh: noMesh(), identity: self.identity, revocations: self.revocations, loopback: true };
  const sources = origins.map((each): Source =>
    'id' in each ? each : { kind: 'mesh', node: each.node, url: each.url, path: [] },
  );
  const wrong: string[] = [];
  const slow: string[] = [];
  const outcome = await fetchBlob({
    sha256, sizeBytes, sources, target, rounds, states, signal,
    floors: floor && { 'open port': floor, mesh: floor, upstream: floor, 'passed on': floor, lowest },
    onSlowSource: (node, spell) => slow.push(`${node}: ${spell.bytes < floor!.bytes}`),
    onWrongSource: (node, { code }) => wrong.push(`${node}: ${code}`),
    open: async (source, fromByte, aborted): Promise<BlobAnswer> =>
      askForBlob(await connectSource(source, access, aborted), { sha256, downloadToken: 'p', fromByte, signal: aborted, stallMs }),
    probe: (source, piece, aborted) =>
      askForPiece(() => connectSource(source, access, aborted), { sha256, downloadToken: 'p', ...piece, signal: aborted, stallMs }),
  }).then(
    (fetched) => fetched,
    async (thrown: unknown) => {
      await target.close();
      throw thrown;
    },
  ); // prettier-ignore
  expect((await readFile(blobs.pathOf(sha256))).equals(body)).toBe(true);
  return { ...outcome, blobs, wrong, slow };
}

/** The first byte of each request to an origin. */
function resumedAt(origin: Origin): number[] {
  return origin.requests.map(({ range }) => Number(/\d+/.exec(range ?? '')?.[0] ?? 0));
}

describe('fetching', () => {
  it('takes the nearest source and leaves the others alone', async () => {
    const [near, far] = [await startOrigin(mesh, 'near', body), await startOrigin(mesh, 'far', body)];
    expect(await fetch([near, far])).toMatchObject({ from: 'near', failed: [] });
    expect(near.requests).toEqual([{ url: `/v1/blobs/${sha256}`, range: undefined, authorization: 'Bearer p' }]);
    expect(far.requests).toEqual([]);
  });

  it('goes on at the next source where the first was cut at 60 %', async () => {
    const [near, far] = [await startOrigin(mesh, 'near', body, cutAt(0.6)), await startOrigin(mesh, 'far', body)];
    const { from, failed, wrong } = await fetch([near, far]);
    expect([from, failed.map(({ node, code }) => [node, code])]).toEqual(['far', [['near', 'SOURCE_FAILED']]]);
    expect(wrong).toEqual([]);
    expect(resumedAt(far)).toEqual([expect.toSatisfy((at: number) => at > 0 && at <= 600_000)]);
  });

  it('goes on at the same offset when it is the only one', async () => {
    const only = await startOrigin(mesh, 'only', body, cutAt(0.3), cutAt(0.3), cutAt(0.8));
    expect(await fetch([only], { rounds: 2 })).toMatchObject({ from: 'only' });
    const at = resumedAt(only);
    expect([at.length, at[0]]).toEqual([4, 0]);
    expect(at).toEqual([...at].sort((a, b) => a - b));
  });

  it.each([
    ['a stall', stallAt(0.5)],
    ['a short body', short],
    ['an error', status(500)],
    ['not found', status(404)],
    ['a part nobody asked for', status(206)],
    ['a redirect', status(302, { location: 'https://127.0.0.1:1/elsewhere' })],
    ['an encoding', status(200, { 'content-encoding': 'gzip', 'content-length': '2' })],
    ['no length', status(200, { 'transfer-encoding': 'chunked' })],
    [
      'headers without end',
      ({ response }: Served): void => void response.writeHead(200, { 'x-long': 'x'.repeat(20_000) }).end(),
    ],
  ] as const)('skips a source with %s', async (_, behaviour) => {
    const [near, far] = [await startOrigin(mesh, 'near', body, behaviour), await startOrigin(mesh, 'far', body)];
    const { from, failed } = await fetch([near, far], { stallMs: 300 });
    expect([from, failed.length, near.requests.length]).toEqual(['far', 1, 1]);
  });

  it('skips a source that is not there, and one that is somebody else', async () => {
    const other = await startOrigin(mesh, 'other', body);
    const far = await startOrigin(mesh, 'far', body);
    const gone = { kind: 'mesh' as const, node: 'gone', url: 'https://127.0.0.1:1', path: [] };
    const { failed } = await fetch([gone, { node: 'near', url: other.url }, far]);
    expect(failed.map(({ code }) => code)).toEqual(['SOURCE_FAILED', 'PEER_UNEXPECTED']);
    expect(other.requests).toEqual([]);
  });

  it('says why when nobody delivers, and keeps what came', async () => {
    const near = await startOrigin(mesh, 'near', body, cutAt(0.4), status(500), status(500));
    const store = await BlobStore.open(await tempDir());
    await expect(fetch([near], { store, rounds: 2 })).rejects.toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
      message: expect.stringMatching(/: near: SOURCE_FAILED \(the source answered with status 500\)$/) as string,
    });
    const [{ sizeBytes } = { sizeBytes: 0 }] = await store.partials();
    expect(sizeBytes).toBeGreaterThan(0);
    near.behave(good);
    await fetch([near], { store });
    expect(resumedAt(near).at(-1)).toBe(sizeBytes);
  });

  it('stops at once when told to', async () => {
    const stop = new AbortController();
    const near = await startOrigin(
      mesh,
      'near',
      body,
      slow(4, () => new Promise(() => stop.abort())),
    );
    await expect(fetch([near], { signal: stop.signal, rounds: 4 })).rejects.toBeDefined();
    expect(near.requests.length).toBe(1);
  });
});

describe('a source that is too slow', () => {
  const drip = { bytes: 1, everyMs: 20 };

  it('is left, also when it began well, and the next one goes on at that byte', async () => {
    for (const share of [0, 0.4]) {
      const near = await startOrigin(mesh, 'near', body, trickle(share, drip));
      const far = await startOrigin(mesh, 'far', body);
      const states = statesOf();
      const { from, failed, slow } = await fetch([near, far], { floor: { bytes: 50_000, withinMs: 300 }, states });
      expect([from, failed.map(({ node, code }) => [node, code])]).toEqual(['far', [['near', 'SOURCE_SLOW']]]);
      expect(slow).toEqual(['near: true']);
      expect(resumedAt(far)).toEqual([expect.toSatisfy((at: number) => at > share * sizeBytes && at < sizeBytes / 2)]);
      expect(states.order([near, far].map(({ node }) => at(node))).map(nameOf)).toEqual(['far', 'near']);
    }
  });

  it('is kept when the others are slower or away, and asked first from then on', async () => {
    const near = await startOrigin(mesh, 'near', body, ...Array.from({ length: 9 }, () => trickle(0, drip)));
    const far = await startOrigin(
      mesh,
      'far',
      body,
      ...Array.from({ length: 9 }, () => trickle(0, { bytes: 80_000, everyMs: 50 })),
    );
    const gone = { kind: 'mesh' as const, node: 'gone', url: 'https://127.0.0.1:1', path: [] };
    const { from } = await fetch([gone, near, far], { floor: { bytes: 500_000, withinMs: 200 } });
    expect(from).toBe('far');
    expect(near.requests.length).toBeLessThanOrEqual(far.requests.length);
  });

  it('is not one on a thin line', async () => {
    const near = await startOrigin(mesh, 'near', body, trickle(0, { bytes: 100_000, everyMs: 50 }));
    const far = await startOrigin(mesh, 'far', body);
    const { from, failed } = await fetch([near, far], { floor: { bytes: 100_000, withinMs: 5_000 } });
    expect([from, failed, far.requests]).toEqual(['near', [], []]);
  });
});

describe('sources that are all too slow', () => {
  const drip = { bytes: 1, everyMs: 20 };
  const floor = { bytes: 50_000, withinMs: 100 };
  const lowest = { bytes: 5_000, withinMs: 400 };
  const often = (behaviour: Behaviour) => Array.from({ length: 6 }, () => behaviour);

  it.each<[string, Behaviour, RegExp]>([
    ['a few bytes a second', trickle(0, drip), /near: SOURCE_SLOW \(\d+ bytes in 0\.\d s\)/],
    [
      'a byte for each request',
      ({ from, body: whole, response }) => {
        const range = { 'content-range': `bytes ${from}-${sizeBytes - 1}/${sizeBytes}` };
        response.writeHead(206, { 'content-length': sizeBytes - from, ...range });
        response.write(whole.subarray(from, from + 1), () => response.destroy());
      },
      /near: SOURCE_FAILED/,
    ],
  ])('%s: the fetch ends, and says so of each', async (_, behaviour, says) => {
    const near = await startOrigin(mesh, 'near', body, ...often(behaviour));
    const far = await startOrigin(mesh, 'far', body, ...often(trickle(0, drip)));
    await expect(fetch([near, far], { rounds: 2, floor, lowest })).rejects.toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
      message: expect.toSatisfy(
        (text: string) => says.test(text) && /far: SOURCE_SLOW \(\d+ bytes in/.test(text),
      ) as string,
    });
    expect([near, far].map(({ requests }) => requests.length)).toEqual([2, 2]);
  });

  it('a byte at a time from the only source of a whole package, after wrong ones: the fetch ends', async () => {
    const store = await BlobStore.open(await tempDir());
    const before = await store.resume({ sha256, sizeBytes });
    await before.write(Buffer.alloc(100_000));
    await before.close();
    const near = await startOrigin(mesh, 'near', body, good, ...often(trickle(0, drip)));
    const outcome = fetch([near], { store, rounds: 2, floor, lowest });
    await expect(outcome).rejects.toMatchObject({ code: 'PACKAGE_UNAVAILABLE', cause: { code: 'SOURCE_SLOW' } });
  });

  it('more than the lowest floor: the package comes, however slowly', async () => {
    const line = trickle(0, { bytes: 20_000, everyMs: 20 });
    const near = await startOrigin(mesh, 'near', body, ...often(line));
    const { from } = await fetch([near], { floor: { bytes: 10_000_000, withinMs: 100 }, lowest });
    expect(from).toBe('near');
    expect(near.requests.length).toBeGreaterThan(2);
  });
});

describe('what an earlier download left', () => {
  const wrong = Buffer.from(Buffer.concat([body, body]).map((byte) => byte ^ 0xff));
  const right = (bytes: number) => body.subarray(0, bytes);
  it.each<[string, Buffer, (string | undefined)[]]>([
    ['nothing', right(0), [undefined]],
    ['one byte', right(1), ['bytes=1-']],
    ['all but one byte', right(sizeBytes - 1), [`bytes=${sizeBytes - 1}-`]],
    ['every byte', body, []],
    ['one byte too many', Buffer.concat([body, Buffer.alloc(1)]), [undefined]],
    ['twice the bytes', wrong, [undefined]],
    ['one wrong byte', wrong.subarray(0, 1), ['bytes=1-', undefined]],
    ['all but one byte, and wrong', wrong.subarray(0, -sizeBytes - 1), [`bytes=${sizeBytes - 1}-`, undefined]],
    ['as many bytes, and wrong', wrong.subarray(0, sizeBytes), [undefined]],
  ])('%s: the package is whole in the end, and no more is fetched than it takes', async (_, left, ranges) => {
    const folder = await tempDir();
    const store = await BlobStore.open(folder);
    await writeFile(join(folder, 'partial', sha256), left);
    await utimes(join(folder, 'partial', sha256), 0, 0);
    const near = await startOrigin(mesh, 'near', body);
    const { from, failed, wrong: told } = await fetch([near], { store });
    expect(near.requests.map(({ range }) => range)).toEqual(ranges);
    expect([from, failed, told]).toEqual([ranges.length === 0 ? '' : 'near', [], []]);
    expect(await store.partials()).toEqual([]);
  });

  it('every byte: no source is needed', async () => {
    const store = await BlobStore.open(await tempDir());
    const before = await store.resume({ sha256, sizeBytes });
    await before.write(body);
    await before.close();
    expect(await fetch([], { store })).toMatchObject({ from: '', failed: [] });
  });
});

describe('a source that goes last', () => {
  const order = (states: SourceStates) => states.order([at('near'), at('far')]).map(nameOf);
  const back = async (states: SourceStates) =>
    waitFor(() => order(states)[0] === 'near', { what: 'the source to be back' });

  it.each<[string, string, Behaviour]>([
    ['fails', 'SOURCE_FAILED', status(500)],
    ['sends wrong bytes', 'PACKAGE_HASH_MISMATCH', wrongBytes(randomBytes(sizeBytes))],
  ])('because it %s is back after two good probes in a row', async (_, code, behaviour) => {
    const seen = Promise.withResolvers<void>();
    const later: Behaviour = async (served) => {
      await seen.promise;
      await behaviour(served);
    };
    const near = await startOrigin(mesh, 'near', body, behaviour, later, good, behaviour);
    const far = await startOrigin(mesh, 'far', body);
    const blobs = await BlobStore.open(await tempDir());
    const states = statesOf({ blobs, probeEveryMs: 50 });
    const { from } = await fetch([near, far], { store: blobs, states });
    expect([from, order(states)]).toEqual(['far', ['far', 'near']]);
    expect(states.all()).toContainEqual({
      source: 'near',
      bytesPerS: expect.any(Number) as number,
      demotedAtMs: expect.any(Number) as number,
      code,
    });
    seen.resolve();
    await back(states);
    // The failure, then probes: bad, good, bad, good, good.
    expect(near.requests.length).toBeGreaterThanOrEqual(6);
    expect(states.all().find(({ source }) => source === 'near')?.demotedAtMs ?? 0).toBe(0);
  });

  const wrong = wrongBytes(randomBytes(sizeBytes));

  it.each([403, 404, 410])('because of wrong bytes is not back by answers %d', async (code) => {
    let denies = true;
    const either: Behaviour = (served) => (denies ? status(code) : good)(served);
    const near = await startOrigin(mesh, 'near', body, wrong, ...Array<Behaviour>(1000).fill(either));
    const blobs = await BlobStore.open(await tempDir());
    const states = statesOf({ blobs, probeEveryMs: 20 });
    await fetch([near, await startOrigin(mesh, 'far', body)], { store: blobs, states });
    await waitFor(() => near.requests.length > 5);
    expect(order(states)).toEqual(['far', 'near']);
    denies = false;
    await back(states);
  });

  it('is not made to fetch what it lacks, and wrong bytes are not forgotten by that', async () => {
    const [near, other] = [
      await startOrigin(mesh, 'near', body, wrong),
      await startOrigin(mesh, 'other', body, status(500)),
    ];
    const blobs = await BlobStore.open(await tempDir());
    const states = statesOf({ blobs, probeEveryMs: 20 });
    await fetch([near, other, await startOrigin(mesh, 'far', body)], { store: blobs, states });
    near.holds = other.holds = false;
    const before = { heads: near.heads, near: near.requests.length, other: other.requests.length };
    await waitFor(() => near.heads > before.heads + 5 && other.heads > 1);
    await waitFor(() => states.order([at('near'), at('other')]).map(nameOf)[0] === 'other');
    expect(order(states)).toEqual(['far', 'near']);
    // A probe may have been between its two requests.
    expect(near.requests.length).toBeLessThanOrEqual(before.near + 1);
    expect(other.requests.length).toBeLessThanOrEqual(before.other + 1);
    near.holds = true;
    await back(states);
  });

  it('is probed for a while; then a failure is forgotten, and wrong bytes once a fetch that names it proves others', async () => {
    let lies = true;
    const either: Behaviour = (served) => (lies ? wrong : good)(served);
    const near = await startOrigin(mesh, 'near', body, ...Array<Behaviour>(1000).fill(either));
    const gone = await startOrigin(mesh, 'gone', body, ...Array<Behaviour>(1000).fill(status(500)));
    const far = await startOrigin(mesh, 'far', body);
    const blobs = await BlobStore.open(await tempDir());
    const states = statesOf({ blobs, probeEveryMs: 20, probeForMs: 200 });
    await fetch([near, gone, far], { store: blobs, states });
    await waitFor(() => states.order([at('gone'), at('far')]).map(nameOf)[0] === 'gone');
    expect(order(states)).toEqual(['far', 'near']);
    lies = false;
    const asked = near.heads;
    await waitFor(async () => {
      await fetch([near, far], { states });
      return order(states)[0] === 'near';
    });
    expect(near.heads).toBeGreaterThan(asked);
  });

  it('is none that lacks one package', async () => {
    const near = await startOrigin(mesh, 'near', body, status(404));
    const states = statesOf();
    await fetch([near, await startOrigin(mesh, 'far', body)], { states });
    expect(order(states)).toEqual(['near', 'far']);
  });

  it('is measured by what came', async () => {
    const near = await startOrigin(mesh, 'near', body, trickle(0, { bytes: 100_000, everyMs: 50 }));
    const states = statesOf();
    await fetch([near], { states });
    const [{ bytesPerS } = { bytesPerS: 0 }] = states.all();
    expect(bytesPerS).toBeGreaterThan(100_000);
    expect(bytesPerS).toBeLessThan(4_000_000);
  });
});

describe('a source outside the mesh', () => {
  async function web(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/web/1.0?download`;
  }

  it('gets no download token, and its bytes count by their digest only', async () => {
    const requests: IncomingMessage[] = [];
    const url = await web((request, response) => {
      requests.push(request);
      response.writeHead(200, { 'content-length': sizeBytes }).end(body);
    });
    const { from } = await fetch([{ kind: 'upstream', id: 's3', url }]);
    expect(from).toBe('s3');
    const [{ url: asked, headers } = { url: '', headers: {} }] = requests;
    expect([asked, headers.authorization, headers.host]).toEqual(['/web/1.0?download', undefined, new URL(url).host]);
  });

  it('that knows no ranges is probed by its first bytes, and no more is taken', async () => {
    const requests: IncomingMessage[] = [];
    const url = await web((request, response) => {
      requests.push(request);
      if (requests.length === 1) return void response.writeHead(500).end();
      response.writeHead(200, { 'content-length': sizeBytes });
      // The rest never comes.
      response.write(body.subarray(0, 64 * 1024));
    });
    const blobs = await BlobStore.open(await tempDir());
    const states = statesOf({ blobs, probeEveryMs: 20 });
    const s3 = { kind: 'upstream', id: 's3', url } as const;
    await fetch([s3, await startOrigin(mesh, 'far', body)], { store: blobs, states });
    await waitFor(() => states.order([s3, at('far')]).map(nameOf)[0] === 's3');
    const probes = requests.slice(1).map(({ method, headers }) => `${method} ${headers.range}`);
    expect(probes).toEqual(probes.map(() => expect.stringMatching(/^GET bytes=\d+-\d+$/) as string));
  });

  it.each<[string, (request: IncomingMessage, response: ServerResponse) => void, string]>([
    [
      'has wrong bytes',
      (_, response) => response.writeHead(200, { 'content-length': sizeBytes }).end(Buffer.alloc(sizeBytes)),
      'PACKAGE_HASH_MISMATCH',
    ],
    [
      'redirects',
      (_, response) => response.writeHead(302, { location: 'http://169.254.169.254/' }).end(),
      'SOURCE_FAILED',
    ],
    ['lacks it', (_, response) => response.writeHead(404).end(), 'NOT_FOUND'],
  ])('that %s is left for the next one', async (_, answer, code) => {
    const url = await web(answer);
    const { from, failed } = await fetch([{ kind: 'upstream', id: 's3', url }, await startOrigin(mesh, 'far', body)]);
    expect([from, failed.map((each) => [each.node, each.code])]).toEqual(['far', [['s3', code]]]);
  });

  it.each(['http://169.254.169.254/x', 'https://[fd00:ec2::254]/x', 'ftp://example.com/x', 'http://u:p@example.com/x'])(
    'at %s is not asked',
    async (url) => {
      const { failed } = await fetch([{ kind: 'upstream', id: 's3', url }, await startOrigin(mesh, 'far', body)]);
      expect(failed.map((each) => each.code)).toEqual(['URL_FORBIDDEN']);
    },
  );
});

describe('mirror-swap', () => {
  const flipped = Buffer.from(body);
  flipped[500_000]! ^= 1;

  it.each([
    ['a flipped byte under a right header', flipped],
    ['another package of the same size', randomBytes(body.length)],
    ['another package', randomBytes(5_000)],
    ['the package and more', Buffer.concat([body, Buffer.from('x')])],
  ])('%s: the next source is used, and the first is demoted', async (_, wrong) => {
    const near = await startOrigin(mesh, 'near', body, wrongBytes(wrong), wrongBytes(wrong), wrongBytes(wrong));
    const far = await startOrigin(mesh, 'far', body);
    const states = statesOf();
    const { from, failed, wrong: told } = await fetch([near, far], { states, rounds: 3 });
    expect(told).toEqual(['near: PACKAGE_HASH_MISMATCH']);
    expect([from, failed.map(({ node, code }) => [node, code])]).toEqual(['far', [['near', 'PACKAGE_HASH_MISMATCH']]]);
    expect([near.requests.length, far.requests[0]?.range]).toEqual([1, undefined]);
    expect(states.order([at('near'), at('far')]).map(nameOf)).toEqual(['far', 'near']);
  });

  it('keeps nothing when everybody lies', async () => {
    const near = await startOrigin(mesh, 'near', body, wrongBytes(flipped));
    const store = await BlobStore.open(await tempDir());
    await expect(fetch([near], { store, rounds: 3 })).rejects.toMatchObject({
      code: 'PACKAGE_UNAVAILABLE',
      message: expect.stringContaining('PACKAGE_HASH_MISMATCH') as string,
    });
    expect(near.requests.length).toBe(1);
    expect(store.list()).toEqual([]);
    expect(await store.partials()).toMatchObject([{ sha256, sizeBytes: 0 }]);
  });

  it('wrong bytes up to a cut do not make the honest source that finishes look wrong', async () => {
    const lies: Behaviour = ({ from, response }) => {
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': body.length - from,
        'content-range': `bytes ${from}-${body.length - 1}/${body.length}`,
      });
      response.write(flipped.subarray(from, Math.max(from, 600_000)), () => response.destroy());
    };
    const near = await startOrigin(mesh, 'near', body, lies, lies, lies, lies);
    const far = await startOrigin(mesh, 'far', body);
    const { from } = await fetch([near, far], { rounds: 3 });
    expect(from).toBe('far');
    expect(resumedAt(far)).toEqual([expect.toSatisfy((at: number) => at > 0), 0]);
  });

  it('wrong bytes up to a cut do not exclude the only source, which has the right ones by now', async () => {
    const near = await startOrigin(mesh, 'near', body, ({ response }) => {
      response.writeHead(200, { 'content-length': body.length });
      response.write(flipped.subarray(0, 600_000), () => response.destroy());
    });
    const { from, wrong } = await fetch([near], { rounds: 2 });
    expect([from, wrong]).toEqual(['near', []]);
    expect(resumedAt(near)).toEqual([0, expect.toSatisfy((at: number) => at > 0), 0]);
  });

  it('wrong bytes found on disk are nobody’s fault', async () => {
    const store = await BlobStore.open(await tempDir());
    const before = await store.resume({ sha256, sizeBytes });
    await before.write(Buffer.alloc(100_000));
    await before.close();
    const near = await startOrigin(mesh, 'near', body);
    expect(await fetch([near], { store })).toMatchObject({ from: 'near', failed: [] });
    expect(near.requests.map(({ range }) => range)).toEqual(['bytes=100000-', undefined]);
  });
});
