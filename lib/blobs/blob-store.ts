// A folder of blobs named by their digest: `blobs/ab/<sha256>` are whole, durable and never change, `partial/<sha256>`
// are interrupted downloads to resume, `incoming/` is what is being received and is emptied at start,
// `damaged/<sha256>` was changed on the disk and is never served. Name and size are not trusted, because disks rot and
// people change files: a blob is digested before it is first served, and again daily.
import { randomUUID } from 'node:crypto';
import { constants, existsSync, type Stats } from 'node:fs';
import { lstat, open, readdir, rename, rm, utimes, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ownFolder } from '../files/private.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobWriter, type BlobInfo } from './blob-writer.ts';
import { digestFile, isSha256 } from './digest.ts';
import { errnoOf, syncPath } from '../files/disk-space.ts';

export interface StoredBlob extends BlobInfo {
  /** When it was last requested, to the precision of USED_AT_GRAIN_MS. */
  readonly usedAtMs: number;
}

/** A blob opened for reading; the bytes stay readable when the blob is deleted meanwhile. */
export interface OpenedBlob extends BlobInfo {
  readonly file: FileHandle;
}

/** Precision of the time of use, so that a popular blob does not cost a write per request. */
const USED_AT_GRAIN_MS = 60_000;

/** How long a checked digest is trusted; digesting takes about a second per gigabyte. */
const CHECK_VALID_MS = 24 * 3600_000;

/** One check of a blob's digest, shared by all that open the blob meanwhile. */
interface Check {
  /** Of the monotonic clock. */
  readonly atMs: number;
  readonly isSound: Promise<boolean>;
}

/** What a store in `folder` trusts, as patterns: others must not be able to change it. */
export function blobEntries(folder: string): string[] {
  return ['{blobs,partial,incoming,damaged}', 'blobs/*', 'blobs/*/*'].map((pattern) => join(folder, pattern));
}

export class BlobStore {
  readonly folder: string;
  readonly #index = new Map<string, StoredBlob>();
  readonly #writing = new Set<string>();
  readonly #checks = new Map<string, Check>();
  #usedBytes = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Opens the store and rebuilds its index from what is on disk. */
  static async open(folder: string): Promise<BlobStore> {
    const store = new BlobStore(folder);
    ownFolder(folder);
    await rm(join(folder, 'incoming'), { recursive: true, force: true });
    for (const name of ['blobs', 'partial', 'incoming']) ownFolder(join(folder, name));
    for (const name of await readdir(join(folder, 'blobs'))) {
      if (/^[0-9a-f]{2}$/.test(name)) await store.#indexFolder(name);
    }
    return store;
  }

  /** Bytes of whole blobs. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get(sha256: string): StoredBlob | undefined {
    return this.#index.get(sha256);
  }

  list(): StoredBlob[] {
    return [...this.#index.values()];
  }

  /**
   * Opens a whole blob and records its use; undefined when it does not exist. PACKAGE_HASH_MISMATCH when its bytes have
   * changed: it stays until it is deleted or received again.
   */
  async open(sha256: string): Promise<OpenedBlob | undefined> {
    const blob = this.#index.get(sha256);
    if (blob === undefined) return undefined;
    try {
      if (!(await this.#isSound(sha256))) {
        throw new IsthmusError(
          'PACKAGE_HASH_MISMATCH',
          `blob ${sha256} has been changed on the disk, and is not served`,
        );
      }
      const file = await open(this.#path(sha256), constants.O_RDONLY | constants.O_NOFOLLOW);
      await this.#noteUse(blob).catch(async (thrown: unknown) => {
        await file.close();
        throw thrown;
      });
      return { sha256, sizeBytes: blob.sizeBytes, file };
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
      this.#forget(sha256);
      return undefined;
    }
  }

  /** The path of a whole blob. */
  pathOf(sha256: string): string {
    if (!this.#index.has(sha256)) throw new IsthmusError('NOT_FOUND', `there is no blob ${sha256}`);
    return this.#path(sha256);
  }

  /** Receives a blob of unknown digest; nothing of it survives a crash. */
  receive(): Promise<BlobWriter> {
    return this.#writer(join('incoming', randomUUID()), 0);
  }

  /**
   * Receives a blob of known digest and size, or resumes it; received bytes survive a crash. One writer at a time. Whatever
   * else lies in its place is removed.
   */
  resume({ sha256, sizeBytes }: BlobInfo): Promise<BlobWriter> {
    assertSha256(sha256);
    return this.#writer(join('partial', sha256), sizeBytes);
  }

  /** The interrupted downloads on disk that have no writer: digest and bytes. */
  async partials(): Promise<(BlobInfo & { readonly modifiedAtMs: number })[]> {
    const folder = join(this.folder, 'partial');
    const names = (await readdir(folder)).filter(isSha256);
    const idle = names.filter((name) => !this.#writing.has(join('partial', name)));
    const found = await Promise.all(
      idle.map(async (sha256) => {
        const status = await lstatIfThere(join(folder, sha256));
        return status && { sha256, sizeBytes: status.size, modifiedAtMs: status.mtimeMs };
      }),
    );
    return found.filter((partial) => partial !== undefined);
  }

  /** Deletes an interrupted download that has no writer. */
  async dropPartial(sha256: string): Promise<void> {
    assertSha256(sha256);
    const name = join('partial', sha256);
    if (!this.#writing.has(name)) await rm(join(this.folder, name), { recursive: true, force: true });
  }

  /** Digests a blob now: whether it is sound, undefined when there is none. */
  async verify(sha256: string): Promise<boolean | undefined> {
    if (!this.#index.has(sha256)) return undefined;
    this.#checks.delete(sha256);
    try {
      return await this.#isSound(sha256);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
      this.#forget(sha256);
      return undefined;
    }
  }

  /** Puts a blob whose bytes have changed aside: it is not served, and kept for those who look for the cause. */
  async putAside(sha256: string): Promise<void> {
    assertSha256(sha256);
    this.#forget(sha256);
    ownFolder(join(this.folder, 'damaged'));
    await rename(this.#path(sha256), join(this.folder, 'damaged', sha256)).catch((thrown: unknown) => {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    });
  }

  /** The blobs that were put aside. */
  async damaged(): Promise<(BlobInfo & { readonly putAsideAtMs: number })[]> {
    const folder = join(this.folder, 'damaged');
    const names = await readdir(folder).catch((thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    });
    const found = await Promise.all(
      names.filter(isSha256).map(async (sha256) => {
        const status = await lstatIfThere(join(folder, sha256));
        return status && { sha256, sizeBytes: status.size, putAsideAtMs: status.ctimeMs };
      }),
    );
    return found.filter((blob) => blob !== undefined);
  }

  /** Deletes a blob that was put aside. */
  async dropDamaged(sha256: string): Promise<void> {
    assertSha256(sha256);
    await rm(join(this.folder, 'damaged', sha256), { recursive: true, force: true });
  }

  /** Removes a whole blob. Idempotent. */
  async delete(sha256: string): Promise<void> {
    assertSha256(sha256);
    this.#forget(sha256);
    await rm(this.#path(sha256), { force: true });
  }

  #isSound(sha256: string): Promise<boolean> {
    const before = this.#checks.get(sha256);
    if (before !== undefined && performance.now() - before.atMs < CHECK_VALID_MS) return before.isSound;
    const isSound = digestOf(this.#path(sha256)).then((digest) => digest === sha256);
    const check = { atMs: performance.now(), isSound };
    this.#checks.set(sha256, check);
    // After a read error the next caller checks again.
    isSound.catch(() => this.#checks.get(sha256) === check && this.#checks.delete(sha256));
    return isSound;
  }

  async #writer(name: string, mostBytes: number): Promise<BlobWriter> {
    if (this.#writing.has(name)) throw new IsthmusError('INTERNAL', 'this blob is being written already');
    this.#writing.add(name);
    return BlobWriter.open({
      path: join(this.folder, name),
      mostBytes,
      finalPath: (sha256) => this.#path(sha256),
      prepare: (finalPath) => this.#ensureFolder(dirname(finalPath)),
      onCommitted: (blob) => {
        this.#remember({ ...blob, usedAtMs: Date.now() });
        this.#checks.set(blob.sha256, { atMs: performance.now(), isSound: Promise.resolve(true) });
      },
      onClosed: () => this.#writing.delete(name),
    });
  }

  async #ensureFolder(path: string): Promise<void> {
    const isNew = !existsSync(path);
    ownFolder(path);
    if (isNew) await syncPath(dirname(path));
  }

  async #indexFolder(prefix: string): Promise<void> {
    const folder = join(this.folder, 'blobs', prefix);
    if (!(await lstat(folder)).isDirectory()) return rm(folder);
    for (const name of await readdir(folder)) {
      if (!isSha256(name) || !name.startsWith(prefix)) continue;
      const path = join(folder, name);
      const status = await lstat(path);
      // What is no file would be in the way of the blob.
      if (!status.isFile()) await rm(path, { recursive: true });
      else this.#remember({ sha256: name, sizeBytes: status.size, usedAtMs: status.mtimeMs });
    }
  }

  async #noteUse(blob: StoredBlob): Promise<void> {
    const now = Date.now();
    // Deleted while it was being opened: the handle can still read, but the index must not restore it.
    if (!this.#index.has(blob.sha256)) return;
    this.#index.set(blob.sha256, { ...blob, usedAtMs: now });
    if (now - blob.usedAtMs <= USED_AT_GRAIN_MS) return;
    await utimes(this.#path(blob.sha256), now / 1000, now / 1000).catch((thrown: unknown) => {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    });
  }

  #remember(blob: StoredBlob): void {
    this.#forget(blob.sha256);
    this.#index.set(blob.sha256, blob);
    this.#usedBytes += blob.sizeBytes;
  }

  #forget(sha256: string): void {
    this.#checks.delete(sha256);
    const blob = this.#index.get(sha256);
    if (blob !== undefined && this.#index.delete(sha256)) this.#usedBytes -= blob.sizeBytes;
  }

  #path(sha256: string): string {
    return join(this.folder, 'blobs', sha256.slice(0, 2), sha256);
  }
}

async function digestOf(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return (await digestFile(file)).sha256();
  } finally {
    await file.close();
  }
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** Validates a digest from outside before it becomes part of a path. */
function assertSha256(sha256: string): void {
  if (!isSha256(sha256)) {
    throw new IsthmusError('INVALID_FIELD', 'a digest is 64 lower-case hex digits', { field: 'sha256' });
  }
}
