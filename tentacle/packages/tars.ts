// Packages whose tar is in the cache in place of their file: a delta leads to the tar, and to pack it again would be of no
// use here.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import { isSha256 } from '../../lib/blobs/digest.ts';
import { writeDurably } from '../../lib/files/durable.ts';

/** What the cache has of a package. */
export interface Stored {
  /** Of what is stored. */
  readonly sha256: string;
  readonly isTar: boolean;
}

export class Tars {
  readonly #blobs: BlobStore;
  readonly #path: string;
  /** Digests of tars by those of their packages. */
  readonly #tars: Map<string, string>;

  private constructor(blobs: BlobStore, path: string, tars: Map<string, string>) {
    this.#blobs = blobs;
    this.#path = path;
    this.#tars = tars;
  }

  static async open(blobs: BlobStore): Promise<Tars> {
    const path = join(blobs.folder, 'tars.json');
    return new Tars(blobs, path, await readTars(path));
  }

  /** Undefined when the package is not in the cache. */
  stored(sha256: string): Stored | undefined {
    if (this.#blobs.get(sha256) !== undefined) return { sha256, isTar: false };
    const tar = this.#tars.get(sha256);
    return tar !== undefined && this.#blobs.get(tar) !== undefined ? { sha256: tar, isTar: true } : undefined;
  }

  /** The package that a blob of the cache belongs to. */
  packageOf(blob: string): string {
    for (const [sha256, tar] of this.#tars) if (tar === blob) return sha256;
    return blob;
  }

  /** Records that the tar of a package is in the cache. */
  add(sha256: string, tar: string): void {
    for (const [known, its] of this.#tars) if (this.#blobs.get(its) === undefined) this.#tars.delete(known);
    this.#tars.set(sha256, tar);
    writeDurably(this.#path, JSON.stringify(Object.fromEntries(this.#tars)));
  }
}

async function readTars(path: string): Promise<Map<string, string>> {
  try {
    // Written by writeDurably above only.
    const tars = Object.entries(JSON.parse(await readFile(path, 'utf8')) as Record<string, string>);
    return new Map(tars.filter((pair) => pair.every(isSha256)));
  } catch {
    return new Map();
  }
}
