// Questions for deltas over HTTP: what a requester gets, and what is not answered.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { askForDelta, type DeltaQuestion } from '../../lib/blobs/blob-client.ts';
import { BlobServer, type BlobOrigin, type DeltaRequest } from '../../lib/blobs/blob-server.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { DeltaCache } from '../../lib/delta/delta-cache.ts';
import { readDeltaHints } from '../../lib/delta/hints.ts';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { tempDir } from '../support/temp.ts';

const digest = (digit: string): string => digit.repeat(64);
const patch = randomBytes(100_000);

/** Asks an origin of these deltas. */
async function ask(
  delta: BlobOrigin<string>['delta'],
  question: Partial<DeltaQuestion> = {},
): Promise<{ readonly base: string; readonly bytes: Buffer }> {
  const origin: BlobOrigin<string> = {
    authorise: ({ downloadToken }) => {
      if (downloadToken === 'good') return { sizeBytes: 1 };
      throw new IsthmusError('FORBIDDEN', 'a wrong token');
    },
    open: () => Promise.reject(new IsthmusError('NOT_FOUND', 'there are no blobs here')),
    sizeOf: () => undefined,
    ...(delta === undefined ? {} : { delta }),
  };
  const server = new BlobServer(origin, silentLogger());
  onTestFinished(() => server.stop());
  const [here, there] = duplexPair();
  server.accept(there, 'peer');
  const answer = await askForDelta(
    { stream: here, linkClass: 'mesh' },
    {
      ...{ sha256: digest('a'), inflated: true, have: [digest('b'), digest('c')], downloadToken: 'good' },
      ...{ signal: new AbortController().signal, stallMs: 5_000, ...question },
    },
  );
  const chunks: Buffer[] = [];
  for await (const chunk of answer.body) chunks.push(chunk);
  expect(answer.sizeBytes).toBe(patch.length);
  return { base: answer.base, bytes: Buffer.concat(chunks) };
}

const body = (base: string) => ({
  ...{ base, sizeBytes: patch.length, isGrowing: false },
  read: (position: number, buffer: Buffer) => Promise.resolve(patch.copy(buffer, 0, position)),
  close: () => Promise.resolve(),
});

describe('a question for a delta', () => {
  it('names what the requester has, and gets the patch with what it leads from', async () => {
    let asked: DeltaRequest<string> | undefined;
    const answer = await ask((request) => {
      asked = request;
      return Promise.resolve(body(digest('c')));
    });
    expect(answer.base).toBe(digest('c'));
    expect(answer.bytes.equals(patch)).toBe(true);
    expect(asked).toMatchObject({
      sha256: digest('a'),
      inflated: true,
      have: [digest('b'), digest('c')],
      peer: 'peer',
    });
  });

  it.each<[string, BlobOrigin<string>['delta'], Partial<DeltaQuestion>, string]>([
    ['where there is none', () => Promise.resolve(undefined), {}, 'NOT_FOUND'],
    ['where making it fails', () => Promise.reject(new Error('no memory')), {}, 'NOT_FOUND'],
    ['at an origin without deltas', undefined, {}, 'NOT_FOUND'],
    ['without the token', () => Promise.resolve(body(digest('b'))), { downloadToken: 'bad' }, 'FORBIDDEN'],
    ['from a version that is not here', () => Promise.resolve(body(digest('d'))), {}, 'SOURCE_FAILED'],
    [
      'that names too much',
      () => Promise.resolve(body(digest('b'))),
      { have: Array<string>(9).fill(digest('b')) },
      'SOURCE_FAILED',
    ],
    ['that names no digest', () => Promise.resolve(body(digest('b'))), { have: ['../b'] }, 'SOURCE_FAILED'],
  ])('%s gets none', async (_what, delta, question, code) => {
    await expect(ask(delta, question)).rejects.toMatchObject({ code });
  });
});

describe('the hints of the server', () => {
  const file = { sha256: digest('a'), sizeBytes: 100 };
  const recipe = { level: 9, memLevel: 8, header: Buffer.from('head') };
  const bases = [{ sha256: digest('b'), tarSha256: digest('c') }];

  it('pin the tar of a tar.gz, and the file of anything else', () => {
    const ofTar = { tarSha256: digest('d'), tarBytes: 500, recipe, bases };
    expect(readDeltaHints(ofTar, file)).toEqual({
      ...{ inflated: true, content: { sha256: digest('d'), sizeBytes: 500 }, bases },
      recipe: { level: 9, memLevel: 8, header: Buffer.from('head').toString('base64') },
    });
    const ofFile = { tarSha256: '', tarBytes: 0, recipe: null, bases: [{ sha256: digest('b'), tarSha256: '' }] };
    expect(readDeltaHints(ofFile, file)).toMatchObject({ inflated: false, content: file });
  });

  it('are none of a server that sends none, or wrong ones', () => {
    expect(readDeltaHints(null, file)).toBeUndefined();
    expect(readDeltaHints({ tarSha256: digest('d'), tarBytes: 500, recipe, bases: [] }, file)).toBeUndefined();
    expect(readDeltaHints({ tarSha256: digest('d'), tarBytes: 0, recipe, bases }, file)).toBeUndefined();
    expect(readDeltaHints({ tarSha256: '', tarBytes: 0, recipe, bases }, file)).toBeUndefined();
  });
});

describe('a patch in the cache', () => {
  const pair = { base: digest('b'), target: digest('a'), inflated: true };

  it('is made once for all that ask meanwhile', async () => {
    const folder = await tempDir();
    const cache = await DeltaCache.open(folder, silentLogger());
    let made = 0;
    const obtain = async (): Promise<Buffer> => {
      const opened = await cache.obtain(pair, async (writer) => {
        made += 1;
        await writer.write(patch);
      });
      const bytes = await opened!.file.readFile();
      await opened!.file.close();
      return bytes;
    };
    const all = await Promise.all(Array.from({ length: 5 }, obtain));
    expect(made).toBe(1);
    expect(all.every((bytes) => bytes.equals(patch))).toBe(true);
    expect(cache.usedBytes).toBe(patch.length);
    const again = await DeltaCache.open(folder, silentLogger());
    expect(again.has(pair)).toBe(true);
  });

  it('is not tried again when it is not worth it, and is made again when its bytes have changed', async () => {
    const folder = await tempDir();
    const cache = await DeltaCache.open(folder, silentLogger());
    let tries = 0;
    const tooLarge = () => {
      tries += 1;
      return Promise.reject(new IsthmusError('BODY_TOO_LARGE', 'too large'));
    };
    expect(await cache.obtain(pair, tooLarge)).toBeUndefined();
    expect(await cache.obtain(pair, tooLarge)).toBeUndefined();
    expect(tries).toBe(1);
    const noMemory = () => Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', 'no memory'));
    const later = { ...pair, base: digest('d') };
    await expect(cache.obtain(later, noMemory)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await (await cache.obtain(later, (writer) => writer.write(patch.subarray(1))))!.file.close();
    const other = { ...pair, base: digest('c') };
    await (await cache.obtain(other, (writer) => writer.write(patch)))!.file.close();
    const [name = ''] = (await readdir(join(folder, 'blobs'), { recursive: true })).filter((each) =>
      each.endsWith(createHash('sha256').update(patch).digest('hex')),
    );
    await writeFile(join(folder, 'blobs', name), randomBytes(patch.length));
    const restarted = await DeltaCache.open(folder, silentLogger());
    const opened = await restarted.obtain(other, (writer) => writer.write(patch));
    expect((await opened!.file.readFile()).equals(patch)).toBe(true);
    await opened!.file.close();
  });
});
