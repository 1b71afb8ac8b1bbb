// Patches on the disk, beside the packages: each is made once, however many ask for it meanwhile, and a pair of versions
// whose patch is not worth it is remembered. `<folder>/blobs` has the patches by their digest, `<folder>/pairs` which
// patch leads from which version to which.
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobStore, type OpenedBlob } from '../blobs/blob-store.ts';
import type { BlobWriter } from '../blobs/blob-writer.ts';
import { openCached } from '../blobs/cached-blob.ts';
import { isSha256 } from '../blobs/digest.ts';
import { writeDurably } from '../files/durable.ts';
import { ownFolder } from '../files/private.ts';
import type { Logger } from '../telemetry/log.ts';

/** From one version of a package to another, by the digests of their files. */
export interface DeltaPair {
  readonly base: string;
  readonly target: string;
  /** Whether it is one of what is inside both gzips. */
  readonly inflated: boolean;
}

/** Writes a patch. BODY_TOO_LARGE when it will never be worth it. */
export type MakePatch = (writer: BlobWriter) => Promise<void>;

/** The least recently used patches go first; they can be made again. */
const MOST_BYTES = 1024 ** 3;
/** Each waits for the worker; whoever comes later gets the whole file. */
const MOST_WAITING = 8;
const MOST_UNWORTHY = 1000;

export class DeltaCache {
  readonly #blobs: BlobStore;
  readonly #folder: string;
  readonly #log: Logger;
  /** The digests of patches by the names of their pairs. */
  readonly #patches: Map<string, string>;
  readonly #making = new Map<string, Promise<void>>();
  readonly #unworthy = new Set<string>();

  private constructor(folder: string, blobs: BlobStore, patches: Map<string, string>, log: Logger) {
    this.#folder = folder;
    this.#blobs = blobs;
    this.#patches = patches;
    this.#log = log;
  }

  /** Opens the cache in a folder of its own. */
  static async open(folder: string, log: Logger): Promise<DeltaCache> {
    const blobs = await BlobStore.open(folder);
    const pairs = join(folder, 'pairs');
    ownFolder(pairs);
    const patches = new Map<string, string>();
    for (const name of await readdir(pairs)) {
      const sha256 = await readFile(join(pairs, name), 'utf8');
      if (isSha256(sha256) && blobs.get(sha256) !== undefined) patches.set(name, sha256);
      else await rm(join(pairs, name), { force: true });
    }
    return new DeltaCache(folder, blobs, patches, log);
  }

  /** Of all patches. */
  get usedBytes(): number {
    return this.#blobs.usedBytes;
  }

  /** Whether the patch of a pair is here. */
  has(pair: DeltaPair): boolean {
    return this.#patches.has(nameOf(pair));
  }

  /** The patch of a pair, which `make` writes unless it is there; undefined when it is not worth it. */
  async obtain(pair: DeltaPair, make: MakePatch): Promise<OpenedBlob | undefined> {
    const name = nameOf(pair);
    const here = await this.#open(name);
    if (here !== undefined || this.#unworthy.has(name)) return here;
    const making = this.#making.get(name) ?? this.#begin(name, make);
    await making;
    return this.#open(name);
  }

  async #open(name: string): Promise<OpenedBlob | undefined> {
    const sha256 = this.#patches.get(name);
    return sha256 === undefined ? undefined : openCached(this.#blobs, sha256, this.#log);
  }

  #begin(name: string, make: MakePatch): Promise<void> {
    if (this.#making.size >= MOST_WAITING) {
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', `${MOST_WAITING} deltas are being made already`));
    }
    const making = this.#make(name, make).finally(() => this.#making.delete(name));
    this.#making.set(name, making);
    return making;
  }

  async #make(name: string, make: MakePatch): Promise<void> {
    const began = performance.now();
    const writer = await this.#blobs.receive();
    try {
      await make(writer);
      const { sha256, sizeBytes } = await writer.commit();
      writeDurably(join(this.#folder, 'pairs', name), sha256);
      this.#patches.set(name, sha256);
      this.#log.info({ delta: name, sizeBytes, ms: Math.round(performance.now() - began) }, 'made a delta');
      await this.#trim(sha256);
    } catch (thrown) {
      const { code, message } = IsthmusError.from(thrown);
      if (code !== 'BODY_TOO_LARGE') throw thrown;
      this.#log.info({ delta: name, reason: message }, 'this delta is not worth it');
      this.#unworthy.add(name);
      if (this.#unworthy.size > MOST_UNWORTHY) this.#unworthy.delete(this.#unworthy.values().next().value!);
    } finally {
      await writer.discard();
    }
  }

  async #trim(newest: string): Promise<void> {
    const others = this.#blobs.list().filter(({ sha256 }) => sha256 !== newest);
    others.sort((a, b) => b.usedAtMs - a.usedAtMs);
    while (this.usedBytes > MOST_BYTES) {
      const oldest = others.pop();
      if (oldest === undefined) return;
      for (const [name, sha256] of this.#patches) {
        if (sha256 !== oldest.sha256) continue;
        this.#patches.delete(name);
        await rm(join(this.#folder, 'pairs', name), { force: true });
      }
      await this.#blobs.delete(oldest.sha256);
    }
  }
}

function nameOf({ base, target, inflated }: DeltaPair): string {
  return `${target}.${base}.${inflated ? 'tar' : 'file'}`;
}
