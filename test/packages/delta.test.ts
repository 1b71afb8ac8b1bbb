// Deltas: what comes out of a patch is the version that was pinned, or an error, within bounds that no patch sets.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashLogOf, isAffordable, isAllowed, MOST_SHARE, windowLogOf } from '../../lib/delta/bounds.ts';
import type { Content } from '../../lib/delta/content.ts';
import { runDelta } from '../../lib/delta/delta.ts';
import { findGzipRecipe, gzipByRecipe } from '../../lib/delta/gzip-recipe.ts';
import { inflateGzipFile } from '../../lib/archives/gzip.ts';
import { tempDir } from '../support/temp.ts';

const MB = 1024 ** 2;
const run = promisify(execFile);
const never = new AbortController().signal;

/** Two versions of 3 MB that differ in a few places. */
function versions(): { readonly old: Buffer; readonly new: Buffer } {
  const old = randomBytes(3 * MB);
  const changed = Buffer.concat([old.subarray(0, MB), randomBytes(5_000), old.subarray(MB + 7)]);
  return { old, new: changed };
}

async function fileOf(bytes: Buffer): Promise<string> {
  const path = join(await tempDir(), 'content');
  await writeFile(path, bytes);
  return path;
}

const plain = (path: string): Content => ({ path, inflated: false });

async function encode(base: Content, target: Content, mostBytes = MB): Promise<Buffer> {
  const chunks: Buffer[] = [];
  await runDelta({ kind: 'encode', base, target, mostBytes }, (chunk) => void chunks.push(chunk), never);
  return Buffer.concat(chunks);
}

async function decode(base: Content, patch: Buffer, targetBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const job = { kind: 'decode', base, patch: await fileOf(patch), targetBytes } as const;
  await runDelta(job, (chunk) => void chunks.push(chunk), never);
  return Buffer.concat(chunks);
}

/** A zstd frame of zeros that claims any size, 128 KB of them in four bytes. */
function frameOfZeros(bytes: number, windowLog?: number): Buffer {
  const blockBytes = 128 * 1024;
  const head = Buffer.alloc(windowLog === undefined ? 13 : 14);
  head.writeUInt32LE(0xfd2fb528);
  head[4] = windowLog === undefined ? 0b1110_0000 : 0b1100_0000;
  if (windowLog !== undefined) head[5] = (windowLog - 10) << 3;
  head.writeBigUInt64LE(BigInt(bytes), head.length - 8);
  const count = bytes / blockBytes;
  const blocks = Array.from({ length: count }, (_none, index) => {
    const block = Buffer.alloc(4);
    block.writeUIntLE((blockBytes << 3) | 0b010 | (index === count - 1 ? 1 : 0), 0, 3);
    return block;
  });
  return Buffer.concat([head, ...blocks]);
}

describe('a patch', () => {
  it('has little more than what changed, and gives the new version', async () => {
    const { old, new: changed } = versions();
    const base = plain(await fileOf(old));
    const patch = await encode(base, plain(await fileOf(changed)));
    expect(patch.length).toBeLessThan(20_000);
    expect((await decode(base, patch, changed.length)).equals(changed)).toBe(true);
  });

  it('is small where a gzip has other bytes throughout: those inside are taken', async () => {
    const text = (changed: string) =>
      Buffer.from(
        Array.from({ length: 40_000 }, (_none, index) => `${index === 300 ? changed : ''}line ${index ** 3}\n`).join(
          '',
        ),
      );
    const [old, changed] = [text(''), text('a change that moves every byte behind it; ')];
    const base = { path: await fileOf(gzipSync(old)), inflated: true };
    const patch = await encode(base, { path: await fileOf(gzipSync(changed)), inflated: true });
    expect(patch.length).toBeLessThan(1_000);
    expect((await decode(plain(await fileOf(old)), patch, changed.length)).equals(changed)).toBe(true);
  });

  it('is given up where it would not be worth it', async () => {
    const [old, changed] = [randomBytes(MB), randomBytes(MB)];
    const encoding = encode(plain(await fileOf(old)), plain(await fileOf(changed)), MOST_SHARE * MB);
    await expect(encoding).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' });
  });

  it('that was made for another base is rejected', async () => {
    const { old, new: changed } = versions();
    const patch = await encode(plain(await fileOf(old)), plain(await fileOf(changed)));
    const decoding = decode(plain(await fileOf(randomBytes(old.length))), patch, changed.length);
    await expect(decoding).rejects.toMatchObject({ code: 'PACKAGE_FORMAT' });
  });

  it('that is corrupt, cut short or no patch at all never gives the new version', async () => {
    const { old, new: changed } = versions();
    const base = plain(await fileOf(old));
    const patch = await encode(base, plain(await fileOf(changed)));
    const damages = [
      patch.subarray(0, patch.length - 3),
      Buffer.concat([patch.subarray(0, 2_000), Buffer.from([patch[2_000]! ^ 1]), patch.subarray(2_001)]),
      randomBytes(300),
      Buffer.alloc(0),
    ];
    for (const damaged of damages) {
      const decoding = decode(base, damaged, changed.length);
      await expect(decoding).rejects.toMatchObject({ code: expect.stringMatching(/^PACKAGE_/) as string });
    }
  });

  it.each([
    ['with a window of 2 GiB', frameOfZeros(2 * 1024 ** 3)],
    ['in a small window', frameOfZeros(2 * 1024 ** 3, 20)],
  ])('that claims 2 GiB, %s, is rejected', async (_how, patch) => {
    let bytes = 0;
    const [base, path] = [plain(await fileOf(randomBytes(1000))), await fileOf(patch)];
    const job = { kind: 'decode', base, patch: path, targetBytes: 3 * MB } as const;
    const decoding = runDelta(job, (chunk) => void (bytes += chunk.length), never);
    await expect(decoding).rejects.toMatchObject({ code: 'PACKAGE_BOMB' });
    expect(bytes).toBeLessThanOrEqual(3 * MB);
  });

  it('ends with the signal', async () => {
    const { old, new: changed } = versions();
    const patch = await encode(plain(await fileOf(old)), plain(await fileOf(changed)));
    const stop = new AbortController();
    const [base, path] = [plain(await fileOf(old)), await fileOf(patch)];
    const job = { kind: 'decode', base, patch: path, targetBytes: changed.length } as const;
    const decoding = runDelta(job, () => stop.abort(new Error('enough')), stop.signal);
    await expect(decoding).rejects.toThrow('enough');
  });
});

describe('the bounds', () => {
  it('reach over both versions, and follow from their sizes alone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 28 }),
        fc.integer({ min: 1, max: 2 ** 28 }),
        (baseBytes, targetBytes) => {
          const windowLog = windowLogOf({ baseBytes, targetBytes });
          expect(2 ** windowLog).toBeGreaterThan(baseBytes + targetBytes);
          expect(windowLog).toBeLessThanOrEqual(31);
          expect(hashLogOf({ baseBytes, targetBytes })).toBeLessThanOrEqual(25);
        },
      ),
    );
  });

  it('leave memory to others, however small the machine', () => {
    const sizes = { baseBytes: 200 * MB, targetBytes: 200 * MB };
    expect(isAffordable(sizes, 8192 * MB)).toBe(true);
    expect(isAffordable(sizes, 1024 * MB)).toBe(false);
    expect([isAllowed(sizes), isAllowed({ baseBytes: 300 * MB, targetBytes: MB })]).toEqual([true, false]);
  });

  it('stop a gzip whose content is larger than it claims', async () => {
    const gzip = gzipSync(randomBytes(2 * MB));
    gzip.writeUInt32LE(1000, gzip.length - 4);
    const base = { path: await fileOf(gzip), inflated: true };
    await expect(encode(base, plain(await fileOf(randomBytes(1000))))).rejects.toMatchObject({ code: 'PACKAGE_BOMB' });
  });
});

describe('the recipe of a gzip', () => {
  const content = Buffer.from(
    Array.from({ length: 60_000 }, (_none, index) => `entry ${index % 977} ${index}\n`).join(''),
  );

  async function again(path: string): Promise<Buffer | null> {
    const recipe = await findGzipRecipe(path, never);
    if (recipe === null) return null;
    const chunks: Buffer[] = [];
    for await (const chunk of gzipByRecipe(inflateGzipFile(path), recipe)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  it.each([{ level: 9 }, { level: 6 }, { level: 1 }, { level: 4, memLevel: 9 }])(
    'gives the same bytes: %o',
    async (options) => {
      const gzip = gzipSync(content, options);
      expect((await again(await fileOf(gzip)))?.equals(gzip)).toBe(true);
    },
  );

  it('keeps the name that a header has', async () => {
    const gzip = gzipSync(content);
    gzip[3] = 8;
    const named = Buffer.concat([gzip.subarray(0, 10), Buffer.from('package.tar\0'), gzip.subarray(10)]);
    expect((await again(await fileOf(named)))?.equals(named)).toBe(true);
  });

  it('is none where another packer deflates otherwise, or something follows', async () => {
    const half = content.length / 2;
    const gzip = gzipSync(content);
    const otherBlocks = Buffer.concat([
      gzip.subarray(0, 10),
      deflateRawSync(content.subarray(0, half), { finishFlush: constants.Z_FULL_FLUSH }),
      deflateRawSync(content.subarray(half)),
      gzip.subarray(-8),
    ]);
    expect(await again(await fileOf(otherBlocks))).toBeNull();
    expect(await again(await fileOf(Buffer.concat([gzip, Buffer.alloc(512)])))).toBeNull();
  });

  it('is none, or right, for GNU tar and gzip', async () => {
    const root = await tempDir();
    await writeFile(join(root, 'text'), content);
    await run('tar', ['-czf', join(root, 'a.tgz'), '-C', root, 'text']);
    const found = await again(join(root, 'a.tgz'));
    if (found !== null) expect(found.equals(await readFile(join(root, 'a.tgz')))).toBe(true);
    expect((await stat(join(root, 'a.tgz'))).size).toBeGreaterThan(0);
  });
});
