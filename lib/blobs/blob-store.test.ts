// The blob store keeps whole blobs, resumes interrupted ones, and drops unnamed ones after a crash.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, link, mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../test/support/temp.ts';
import { BlobStore } from './blob-store.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const body = randomBytes(100_000);
const digest = sha256(body);
const wanted = { sha256: digest, sizeBytes: body.length };

async function stored(store: BlobStore, bytes: Uint8Array) {
  const writer = await store.receive();
  await writer.write(bytes);
  return writer.commit();
}

async function content(store: BlobStore, name: string): Promise<Buffer | undefined> {
  const opened = await store.open(name);
  if (opened === undefined) return undefined;
  try {
    return await opened.file.readFile();
  } finally {
    await opened.file.close();
  }
}

describe('the blob store', () => {
  it('names a blob by its digest, and finds it again after a restart', async () => {
    const folder = await tempDir();
    const store = await BlobStore.open(folder);
    expect(await stored(store, body)).toEqual({ sha256: digest, sizeBytes: body.length });
    expect(await stored(store, body)).toEqual({ sha256: digest, sizeBytes: body.length });
    const again = await BlobStore.open(folder);
    expect(again.list()).toMatchObject([{ sha256: digest, sizeBytes: body.length }]);
    expect(again.usedBytes).toBe(body.length);
    expect((await content(again, digest))?.equals(body)).toBe(true);
  });

  it('commits nothing under a wrong digest or size', async () => {
    const store = await BlobStore.open(await tempDir());
    const writer = await store.resume(wanted);
    await writer.write(body.subarray(1));
    await expect(writer.commit({ sha256: digest })).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
    await writer.restart();
    await writer.write(body);
    await expect(writer.commit({ sha256: digest, sizeBytes: 5 })).rejects.toMatchObject({
      code: 'PACKAGE_HASH_MISMATCH',
    });
    expect(store.list()).toEqual([]);
    await writer.commit({ sha256: digest, sizeBytes: body.length });
    expect((await content(store, digest))?.equals(body)).toBe(true);
  });

  it('resumes an interrupted download, and drops one without a name', async () => {
    const folder = await tempDir();
    const before = await BlobStore.open(folder);
    const cut = await before.resume(wanted);
    await cut.write(body.subarray(0, 60_000));
    await cut.close();
    const unnamed = await before.receive();
    await unnamed.write(body);
    const store = await BlobStore.open(folder);
    expect(await store.partials()).toMatchObject([{ sha256: digest, sizeBytes: 60_000 }]);
    expect(await readdir(join(folder, 'incoming'))).toEqual([]);
    await unnamed.close();
    const writer = await store.resume(wanted);
    expect(writer.bytes).toBe(60_000);
    await expect(store.resume(wanted)).rejects.toMatchObject({ code: 'INTERNAL' });
    await writer.write(body.subarray(60_000));
    await writer.commit({ sha256: digest });
    expect(await store.partials()).toEqual([]);
    expect((await content(store, digest))?.equals(body)).toBe(true);
  });

  describe('begins anew where in place of an interrupted download there is', () => {
    const elsewhere = async (folder: string) => {
      const path = join(folder, 'elsewhere');
      await writeFile(path, 'untouched');
      return path;
    };
    it.each<[string, (path: string, folder: string) => Promise<void>]>([
      ['more than the blob has', (path) => truncate(path, body.length + 1)],
      ['more than can be read', (path) => truncate(path, 2 ** 43)],
      ['a folder', async (path) => void (await mkdir(join(path, 'in it'), { recursive: true }))],
      ['a link', async (path, folder) => symlink(await elsewhere(folder), path)],
      ['a link to nothing', (path) => symlink('nowhere', path)],
      ['another name of a file', async (path, folder) => link(await elsewhere(folder), path)],
      [
        'a file that others can change',
        async (path) => {
          await writeFile(path, body.subarray(0, 1));
          await chmod(path, 0o602);
        },
      ],
      ['a pipe', (path) => Promise.resolve(void execFileSync('mkfifo', [path]))],
    ])('%s', async (what, put) => {
      const folder = await tempDir();
      const store = await BlobStore.open(folder);
      const path = join(folder, 'partial', digest);
      if (what.startsWith('more')) await writeFile(path, '');
      await put(path, folder);
      await store.partials();
      const writer = await store.resume(wanted);
      expect(writer.bytes).toBe(0);
      await writer.write(body);
      await writer.commit(wanted);
      expect((await content(store, digest))?.equals(body)).toBe(true);
      if (what.includes('link') && !what.includes('nothing'))
        expect(await readFile(join(folder, 'elsewhere'), 'utf8')).toBe('untouched');
    });
  });

  it('leaves out what has no digest for a name, and what is gone again', async () => {
    const folder = await tempDir();
    const store = await BlobStore.open(folder);
    await writeFile(join(folder, 'partial', 'README'), '');
    await mkdir(join(folder, 'partial', 'a'.repeat(64)));
    expect(await store.partials()).toMatchObject([{ sha256: 'a'.repeat(64) }]);
    await store.dropPartial('a'.repeat(64));
    expect(await store.partials()).toEqual([]);
  });

  it.each(['a file in place of its folder', 'a folder in its place', 'a link in its place'])(
    'takes a blob in although there is %s',
    async (what) => {
      const folder = await tempDir();
      const prefix = join(folder, 'blobs', digest.slice(0, 2));
      await mkdir(what.startsWith('a file') ? join(folder, 'blobs') : prefix, { recursive: true });
      if (what.startsWith('a file')) await writeFile(prefix, '');
      else if (what.startsWith('a folder')) await mkdir(join(prefix, digest, 'in it'), { recursive: true });
      else await symlink('/dev/zero', join(prefix, digest));
      const store = await BlobStore.open(folder);
      expect(store.list()).toEqual([]);
      await stored(store, body);
      expect((await content(store, digest))?.equals(body)).toBe(true);
    },
  );

  it('overwrites the tail of a partly written chunk', async () => {
    const folder = await tempDir();
    const store = await BlobStore.open(folder);
    const writer = await store.resume(wanted);
    await writer.write(body.subarray(0, 10));
    await writeFile(writer.path, Buffer.alloc(200_000));
    await truncate(writer.path, 150_000);
    await writeFile(writer.path, body.subarray(0, 10), { flag: 'r+' });
    await writer.write(body.subarray(10));
    await writer.commit({ sha256: digest });
    expect((await readFile(store.pathOf(digest))).equals(body)).toBe(true);
  });

  it('lets a reader finish a blob that is deleted meanwhile', async () => {
    const store = await BlobStore.open(await tempDir());
    await stored(store, body);
    const opened = await store.open(digest);
    await store.delete(digest);
    await store.delete(digest);
    expect(store.usedBytes).toBe(0);
    expect(await content(store, digest)).toBeUndefined();
    expect((await opened!.file.readFile()).equals(body)).toBe(true);
    await opened!.file.close();
  });

  it('accepts no path as a digest', async () => {
    const store = await BlobStore.open(await tempDir());
    for (const name of ['../../x', digest.toUpperCase(), digest.slice(1), `${digest}/..`]) {
      expect(await store.open(name)).toBeUndefined();
      expect(() => store.resume({ sha256: name, sizeBytes: 1 })).toThrow(
        expect.objectContaining({ code: 'INVALID_FIELD' }),
      );
      await expect(store.delete(name)).rejects.toMatchObject({ code: 'INVALID_FIELD' });
    }
  });
});
