// The blob store keeps whole blobs, resumes interrupted ones, and drops unnamed ones after a crash.
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../test/support/temp.ts';
import { BlobStore } from './blob-store.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const body = randomBytes(100_000);
const digest = sha256(body);

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
    const writer = await store.resume(digest);
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
    const cut = await before.resume(digest);
    await cut.write(body.subarray(0, 60_000));
    await cut.close();
    await (await before.receive()).write(body);
    const store = await BlobStore.open(folder);
    expect(await store.partials()).toMatchObject([{ sha256: digest, sizeBytes: 60_000 }]);
    expect(await readdir(join(folder, 'incoming'))).toEqual([]);
    const writer = await store.resume(digest);
    expect(writer.bytes).toBe(60_000);
    await expect(store.resume(digest)).rejects.toMatchObject({ code: 'INTERNAL' });
    await writer.write(body.subarray(60_000));
    await writer.commit({ sha256: digest });
    expect(await store.partials()).toEqual([]);
    expect((await content(store, digest))?.equals(body)).toBe(true);
  });

  it('overwrites the tail of a partly written chunk', async () => {
    const folder = await tempDir();
    const store = await BlobStore.open(folder);
    const writer = await store.resume(digest);
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
      expect(() => store.resume(name)).toThrow(expect.objectContaining({ code: 'INVALID_FIELD' }));
      await expect(store.delete(name)).rejects.toMatchObject({ code: 'INVALID_FIELD' });
    }
  });
});
