// The folders of one application:
//   releases/<version>-<digest12>/          a release, whole
//   releases/<version>-<digest12>.staging/  one that waits for its switch
//   releases/<version>-<digest12>.json      what is in it; written last, so that without it there is no release
//   staged.json                             the release that the next switch is for, and the ticket that staged it
//   current, previous                       links, each switched by one rename
//   .private/                               the agent's alone: what is being unpacked or removed
import { randomBytes } from 'node:crypto';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { writeDurably } from '../../lib/files/durable.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf, syncPath } from '../../lib/files/disk-space.ts';
import { removeTree } from '../remove-tree.ts';

export interface ReleaseRecord {
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  /** Differs when the same package is staged with other variables. */
  readonly stamp: string;
  readonly files: number;
  readonly bytes: number;
}

/** What the next switch is for. */
export interface Staged {
  readonly release: string;
  readonly ticket: string;
}

/** The releases of one application. */
export class Releases {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async prepare(): Promise<void> {
    await mkdir(join(this.#folder, 'releases'), { recursive: true, mode: 0o755 });
    await mkdir(this.#private, { recursive: true, mode: 0o700 });
    await chmod(this.#private, 0o700);
  }

  get #private(): string {
    return join(this.#folder, '.private');
  }

  /** Where a release is unpacked: until it is whole nobody but the agent gets there, whoever owns what is in it. */
  buildingOf(release: string): string {
    return join(this.#private, `${release}.building`);
  }

  folderOf(release: string): string {
    return join(this.#folder, 'releases', release);
  }

  stagingOf(release: string): string {
    return `${this.folderOf(release)}.staging`;
  }

  /** What a release holds; undefined when it is not whole. */
  async record(release: string): Promise<ReleaseRecord | undefined> {
    return readJson<ReleaseRecord>(`${this.folderOf(release)}.json`);
  }

  async isActivated(release: string): Promise<boolean> {
    return exists(this.folderOf(release));
  }

  async isStaged(release: string): Promise<boolean> {
    return exists(this.stagingOf(release));
  }

  /** Removes what a staging that did not end has left. */
  async clearStaging(release: string): Promise<void> {
    if (await this.isActivated(release)) throw new IsthmusError('INTERNAL', `${release} is in use`);
    await rm(`${this.folderOf(release)}.json`, { force: true });
    const gone = await this.#putAway(this.stagingOf(release));
    // What cannot be removed is in nobody's way any more; the next activation tries again, and tells.
    await removeTree(gone).catch(() => undefined);
    await removeTree(this.buildingOf(release));
  }

  /** Puts what was unpacked in its place and says that it is whole. */
  async finishStaging(release: string, record: ReleaseRecord): Promise<void> {
    await rename(this.buildingOf(release), this.stagingOf(release));
    writeDurably(`${this.folderOf(release)}.json`, `${JSON.stringify(record)}\n`);
  }

  markStaged(staged: Staged): void {
    writeDurably(join(this.#folder, 'staged.json'), `${JSON.stringify(staged)}\n`);
  }

  /** The release that the next switch is for. */
  async staged(): Promise<Staged | undefined> {
    return readJson<Staged>(join(this.#folder, 'staged.json'));
  }

  /** The release a link points to. */
  async linked(link: 'current' | 'previous'): Promise<string | undefined> {
    try {
      return basename(await readlink(join(this.#folder, link)));
    } catch (thrown) {
      if (errnoOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  /** Turns a staged release into one with its final name. Idempotent. */
  async settle(release: string): Promise<void> {
    if (await this.isActivated(release)) return;
    await rename(this.stagingOf(release), this.folderOf(release));
    await syncPath(join(this.#folder, 'releases'));
  }

  /** Points a link at a release, in one step that lasts. */
  async link(link: 'current' | 'previous', release: string): Promise<void> {
    const fresh = join(this.#folder, `.${link}.${randomBytes(6).toString('hex')}`);
    await symlink(join('releases', release), fresh);
    await rename(fresh, join(this.#folder, link));
    await syncPath(this.#folder);
  }

  /**
   * Removes every release and leftover but the current and the previous release. What cannot be removed keeps nothing
   * else from being removed; then it rejects with the first reason.
   */
  async removeOthers(): Promise<void> {
    const kept = [await this.linked('current'), await this.linked('previous')];
    const reasons: unknown[] = [];
    const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch((thrown: unknown) => reasons.push(thrown));
    for (const name of await readdir(join(this.#folder, 'releases'))) {
      const release = name.replace(/\.(?:staging|json)$/, '');
      if (!kept.includes(release)) await attempt(this.#putAway(this.folderOf(name)));
    }
    for (const name of await readdir(this.#private)) await attempt(removeTree(join(this.#private, name)));
    for (const name of await readdir(this.#folder)) {
      if (/^\.(?:current|previous)\./.test(name)) await attempt(rm(join(this.#folder, name), { force: true }));
    }
    if (reasons.length > 0) throw reasons[0];
  }

  /** Out of everybody's way, to be removed there: scripts may have the run of a release. Answers where it is now. */
  async #putAway(path: string): Promise<string> {
    const gone = join(this.#private, `${basename(path)}.${randomBytes(6).toString('hex')}`);
    try {
      // Moving a folder takes the right to write in it, which a script may have taken away.
      if ((await lstat(path)).isDirectory()) await chmod(path, 0o700);
      await rename(path, gone);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    }
    return gone;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return false;
      throw thrown;
    },
  );
}

async function readJson<Value>(path: string): Promise<Value | undefined> {
  try {
    // Written by writeDurably in this file only: whole or absent.
    return JSON.parse(await readFile(path, 'utf8')) as Value;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
