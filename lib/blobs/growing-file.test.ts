// A growing file: its readers wait, share one fetch, and never take bytes that were wrong for right ones.
import { createHash, randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { tempDir } from '../../test/support/temp.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobStore } from './blob-store.ts';
import { GrowingFile, type GrowingFileReader } from './growing-file.ts';

const body = randomBytes(100_000);
const blob = { sha256: createHash('sha256').update(body).digest('hex'), sizeBytes: body.length };

async function growing() {
  const store = await BlobStore.open(await tempDir());
  return { store, file: new GrowingFile(await store.resume(blob), blob) };
}

async function readAll(reader: GrowingFileReader): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const buffer = Buffer.alloc(10_000);
  for (let position = 0; ; position += chunks.at(-1)!.length) {
    const got = await reader.read(position, buffer);
    if (got === 0) return Buffer.concat(chunks);
    chunks.push(Buffer.from(buffer.subarray(0, got)));
  }
}

it('gives readers its bytes while they come, and says when they are verified', async () => {
  const { store, file } = await growing();
  const readers = (await Promise.all([file.follow(), file.follow(1000)])).map((reader) => reader!);
  const read = readers.map(readAll);
  const verified = readers.map((reader) => reader.verified());
  for (let at = 0; at < body.length; at += 7_000) await file.write(body.subarray(at, at + 7_000));
  expect((await read[0]!).equals(body)).toBe(true);
  await file.commit(blob);
  expect((await read[1]!).equals(body)).toBe(true);
  await Promise.all(verified);
  expect(await file.follow()).toBeUndefined();
  expect(store.get(blob.sha256)).toMatchObject(blob);
  await Promise.all(readers.map((reader) => reader.close()));
});

it('tells readers that were given wrong bytes, and gives the others the right ones', async () => {
  const { file } = await growing();
  const [early, late] = (await Promise.all([file.follow(), file.follow(body.length)])).map((reader) => reader!);
  await file.write(Buffer.alloc(50_000));
  const rejected = expect(readAll(early!)).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
  const read = readAll(late!);
  await early!.read(0, Buffer.alloc(1));
  await file.write(Buffer.alloc(50_000));
  await expect(file.commit(blob)).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
  await file.restart();
  await rejected;
  await expect(early!.verified()).rejects.toMatchObject({ code: 'PACKAGE_HASH_MISMATCH' });
  await file.write(body);
  await file.commit(blob);
  expect((await read).equals(body)).toBe(true);
  await Promise.all([early!.close(), late!.close()]);
});

it('gives who follows while wrong bytes go only those that come in their place', async () => {
  const { file } = await growing();
  await file.write(Buffer.alloc(50_000));
  const restarted = file.restart();
  expect(file.bytes).toBe(0);
  const reader = (await file.follow())!;
  const read = readAll(reader);
  await restarted;
  await file.write(body);
  await file.commit(blob);
  expect((await read).equals(body)).toBe(true);
  await reader.close();
});

it('gives readers the error that ends it, and keeps its bytes for a resume', async () => {
  const { store, file } = await growing();
  const reader = (await file.follow())!;
  await file.write(body.subarray(0, 1000));
  const failed = new IsthmusError('CANCELLED', 'ended here');
  const ended = [readAll(reader), reader.verified()].map((each) => expect(each).rejects.toBe(failed));
  await file.close(failed);
  await Promise.all(ended);
  await expect(file.follow()).rejects.toBe(failed);
  expect(await store.partials()).toMatchObject([{ sha256: blob.sha256, sizeBytes: 1000 }]);
  await reader.close();
});

it('lets readers have the bytes of a file that was discarded, up to where it ended', async () => {
  const { store, file } = await growing();
  const reader = (await file.follow())!;
  await file.write(body.subarray(0, 1000));
  const full = new IsthmusError('DISK_FULL', 'no room');
  await file.discard(full);
  const buffer = Buffer.alloc(2000);
  expect(await reader.read(0, buffer)).toBe(1000);
  expect(buffer.subarray(0, 1000).equals(body.subarray(0, 1000))).toBe(true);
  await expect(reader.read(1000, buffer)).rejects.toBe(full);
  expect([await store.partials(), await file.follow()]).toEqual([[], undefined]);
  await reader.close();
});

it('makes room for a chunk as often as there is any to make', async () => {
  const store = await BlobStore.open(await tempDir());
  const writer = await store.resume(blob);
  const write = writer.write.bind(writer);
  let attempts = 0;
  writer.write = async (chunk) => {
    if ((attempts += 1) <= 3) throw new IsthmusError('DISK_FULL', 'no room');
    await write(chunk);
  };
  let rooms = 2;
  const file = new GrowingFile(writer, { ...blob, makeRoom: () => Promise.resolve((rooms -= 1) >= 0) });
  await expect(file.write(body)).rejects.toMatchObject({ code: 'DISK_FULL' });
  await file.write(body);
  await file.commit(blob);
  expect(store.get(blob.sha256)).toMatchObject(blob);
});

it('ends a read that waits when its reader is closed, and no other', async () => {
  const { file } = await growing();
  const [first, second] = (await Promise.all([file.follow(), file.follow()])).map((reader) => reader!);
  const gone = expect(readAll(first!)).rejects.toMatchObject({ code: 'CANCELLED' });
  const stays = readAll(second!);
  await first!.close();
  await gone;
  await file.write(body);
  expect((await stays).equals(body)).toBe(true);
  await file.close(undefined);
  await second!.close();
});
