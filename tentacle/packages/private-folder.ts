// The folder of an installation that only the agent can reach, whoever owns the files in it; NAME is that of a release:
//   NAME.building/       a release being made; nothing in it counts before its package is verified
//   NAME.unpacked.json   written last: the package is there as it was verified, durable, and unchanged since
//   what is being removed
import { existsSync } from 'node:fs';
import { chmod, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { UnpackedFolder } from '../../lib/archives/archive.ts';
import { errnoOf, syncPath } from '../../lib/files/disk-space.ts';
import { writeDurably } from '../../lib/files/durable.ts';
import { ownFolder } from '../../lib/files/private.ts';
import { removeTree } from '../remove-tree.ts';

export interface UnpackedRelease extends UnpackedFolder {
  /** The task whose release it is. */
  readonly task: string;
  readonly sha256: string;
}

const RECORD = '.unpacked.json';
const BUILDING = '.building';

export class PrivateFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Creates it. PERMISSIONS_UNSAFE for a link in its place. */
  async prepare(): Promise<void> {
    ownFolder(this.path);
    await chmod(this.path, 0o700);
  }

  /** Where a release is made. */
  buildingOf(release: string): string {
    return join(this.path, `${release}${BUILDING}`);
  }

  /** What is unpacked and verified of a release. */
  async unpacked(release: string): Promise<UnpackedRelease | undefined> {
    try {
      // Written only below, by writeDurably: complete or absent.
      const { folders, ...rest } = JSON.parse(await readFile(this.#recordOf(release), 'utf8')) as Written;
      if (!existsSync(this.buildingOf(release))) return undefined;
      return {
        ...rest,
        folders: folders.map(([path, mode, ms]) => [
          path,
          { mode: mode ?? undefined, modifiedAt: ms === null ? undefined : new Date(ms) },
        ]),
      };
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  /** Everything that is unpacked and verified. */
  async allUnpacked(): Promise<(UnpackedRelease & { readonly release: string })[]> {
    const found: (UnpackedRelease & { readonly release: string })[] = [];
    for (const name of await this.#names()) {
      if (!name.endsWith(RECORD)) continue;
      const release = name.slice(0, -RECORD.length);
      const unpacked = await this.unpacked(release);
      if (unpacked !== undefined) found.push({ ...unpacked, release });
    }
    return found;
  }

  /** Says, durably, that the package of a release is unpacked and verified. */
  markUnpacked(release: string, { folders, ...rest }: UnpackedRelease): void {
    const written: Written = {
      ...rest,
      folders: folders.map(([path, { mode, modifiedAt }]) => [path, mode ?? null, modifiedAt?.getTime() ?? null]),
    };
    writeDurably(this.#recordOf(release), `${JSON.stringify(written)}\n`);
  }

  /** What is unpacked of a release, for the caller to change: after a crash it does not count any more. */
  async take(release: string): Promise<UnpackedRelease | undefined> {
    const unpacked = await this.unpacked(release);
    await rm(this.#recordOf(release), { force: true });
    if (unpacked !== undefined) await syncPath(this.path);
    return unpacked;
  }

  /** Removes what there is of a release. */
  async clear(release: string): Promise<void> {
    await rm(this.#recordOf(release), { force: true });
    await removeTree(this.buildingOf(release));
  }

  /** Removes all but the releases that are kept. Goes on after a failure; rejects with the first one at the end. */
  async removeOthers(isKept: (release: string) => boolean): Promise<void> {
    const others = (await this.#names()).filter((name) => {
      const suffix = [BUILDING, RECORD].find((each) => name.endsWith(each));
      return suffix === undefined || !isKept(name.slice(0, -suffix.length));
    });
    // Records first: without one, a folder that is half removed does not count.
    const records = others.filter((name) => name.endsWith(RECORD));
    const failures: unknown[] = [];
    for (const name of [...records, ...others]) {
      await removeTree(join(this.path, name)).catch((thrown: unknown) => failures.push(thrown));
    }
    if (failures.length > 0) throw failures[0];
  }

  #recordOf(release: string): string {
    return join(this.path, `${release}${RECORD}`);
  }

  async #names(): Promise<string[]> {
    return readdir(this.path).catch((thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    });
  }
}

interface Written extends Omit<UnpackedRelease, 'folders'> {
  /** With their modes, and their times in milliseconds. */
  readonly folders: readonly (readonly [path: string, mode: number | null, modifiedMs: number | null])[];
}
