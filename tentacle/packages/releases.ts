// The folders of one installation. A release belongs to the task that staged it; its name is NAME below:
//   releases/<version>-<digest12>-<task12>/  an activated release
//   releases/NAME.staging/                   a staged release
//   releases/NAME.json                       its record; written last, so that without it there is no release
//   current, previous                        links, each switched by one rename
//   succeeded.json                           releases whose step succeeded, the newest first
//   installed-to.json                        the folder that the step installs to, and the release that is there
//   .private/                                for the agent only (private-folder.ts): releases being made or removed
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, lstat, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { writeDurably } from '../../lib/files/durable.ts';
import { assertNoLink } from '../../lib/files/private.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf, syncPath } from '../../lib/files/disk-space.ts';
import { versionKey } from '../../lib/package-versions.ts';
import { makeReadable } from '../data-folder.ts';
import { removeTree } from '../remove-tree.ts';
import { PrivateFolder } from './private-folder.ts';
import type { PackageWarning } from './substitute-files.ts';

export interface ReleaseRecord {
  /** The task that staged it. */
  readonly task: string;
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  /** Differs when the same package is staged with other variables. */
  readonly stamp: string;
  readonly files: number;
  readonly bytes: number;
  /** What was noticed while it was staged, and how much more there was. */
  readonly warnings: readonly PackageWarning[];
  readonly warningsLeftOut: number;
  /** The folder of the installation before its activation, where it is not the same any more. */
  readonly leftFolder?: string;
}

/** A folder beside the data folder, and which release is there: empty when none is. */
interface Claim {
  readonly path: string;
  readonly release: string;
}

const SUCCEEDED = 'succeeded.json';
const CLAIM = 'installed-to.json';
/** Releases that are kept because their step succeeded; of one package only the newest counts. */
const KEPT_RELEASES = 3;

/** The name of the release that a task stages. */
export function releaseName({ version, sha256 }: Pick<ReleaseRecord, 'version' | 'sha256'>, task: string): string {
  return `${versionKey(version)}-${sha256.slice(0, 12)}-${createHash('sha256').update(task).digest('hex').slice(0, 12)}`;
}

/** The releases of one installation. */
export class Releases {
  readonly #folder: string;
  readonly private: PrivateFolder;

  constructor(folder: string) {
    this.#folder = folder;
    this.private = new PrivateFolder(join(folder, '.private'));
  }

  /** Creates what is missing of the folders. PERMISSIONS_UNSAFE for a link in the place of one. */
  async prepare(): Promise<void> {
    // `applications/<project>/<environment>/<step>`: whoever serves a release must get to it.
    const environment = dirname(this.#folder);
    const project = dirname(environment);
    const folders = [dirname(project), project, environment, this.#folder, join(this.#folder, 'releases')];
    for (const path of folders) await makeReadable(path);
    await this.private.prepare();
  }

  folderOf(release: string): string {
    return join(this.#folder, 'releases', release);
  }

  stagingOf(release: string): string {
    return `${this.folderOf(release)}.staging`;
  }

  /** Where a release lies now. */
  async pathOf(release: string): Promise<string> {
    return (await this.isActivated(release)) ? this.folderOf(release) : this.stagingOf(release);
  }

  /** The record of a release; undefined when it is not complete. */
  async record(release: string): Promise<ReleaseRecord | undefined> {
    return readJson<ReleaseRecord>(`${this.folderOf(release)}.json`);
  }

  /** The release that a task has staged, whether it is activated by now or not. */
  async ofTask(task: string): Promise<string | undefined> {
    for (const release of await this.names()) if ((await this.record(release))?.task === task) return release;
    return undefined;
  }

  /** Every release with a record. */
  async names(): Promise<string[]> {
    const names = await readdir(join(this.#folder, 'releases')).catch((thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return [];
      throw thrown;
    });
    return names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
  }

  async isActivated(release: string): Promise<boolean> {
    return Promise.try(isFolder, this.folderOf(release));
  }

  async isStaged(release: string): Promise<boolean> {
    return Promise.try(isFolder, this.stagingOf(release));
  }

  /** Removes what an interrupted staging has left beside the private folder. */
  async clearStaging(release: string): Promise<void> {
    if (await this.isActivated(release)) throw new IsthmusError('INTERNAL', `${release} is in use`);
    await rm(`${this.folderOf(release)}.json`, { force: true });
    const gone = await this.#putAway(this.stagingOf(release));
    // If that fails, the folder is out of the way, and the next activation tries again and logs it.
    await removeTree(gone).catch(() => undefined);
  }

  /** Moves the unpacked folder to its name, gives it its mode, then writes its record. */
  async finishStaging(release: string, record: ReleaseRecord, mode: number): Promise<void> {
    await rename(this.private.buildingOf(release), this.stagingOf(release));
    // Not before: to move a folder needs write permission in it.
    await chmod(this.stagingOf(release), mode);
    this.#writeRecord(release, record);
  }

  /** Remembers which folder the installation leaves with this release. Idempotent. */
  async recordLeftFolder(release: string, leftFolder: string): Promise<void> {
    const record = await this.record(release);
    if (record !== undefined) this.#writeRecord(release, { ...record, leftFolder });
  }

  #writeRecord(release: string, record: ReleaseRecord): void {
    writeDurably(`${this.folderOf(release)}.json`, `${JSON.stringify(record)}\n`);
  }

  /** The releases on disk whose step succeeded, the newest first. */
  async succeeded(): Promise<string[]> {
    const names = (await readJson<readonly string[]>(join(this.#folder, SUCCEEDED))) ?? [];
    const here: string[] = [];
    for (const name of names) if ((await this.record(name)) !== undefined) here.push(name);
    return here;
  }

  /** Remembers that the step of a release succeeded, and which succeeded before it. Idempotent. */
  async markSucceeded(release: string): Promise<void> {
    const sha256 = (await this.record(release))?.sha256;
    const kept = [release];
    for (const other of await this.succeeded()) {
      if (other !== release && (await this.record(other))?.sha256 !== sha256) kept.push(other);
    }
    writeDurably(join(this.#folder, SUCCEEDED), `${JSON.stringify(kept.slice(0, KEPT_RELEASES))}\n`);
  }

  /** The folder beside the data folder that the installation has taken. */
  async claim(): Promise<Claim | undefined> {
    return readJson<Claim>(join(this.#folder, CLAIM));
  }

  setClaim(claim: Claim): void {
    writeDurably(join(this.#folder, CLAIM), `${JSON.stringify(claim)}\n`);
  }

  /** Leaves the folder as it is, for others to take. Idempotent. */
  async dropClaim(): Promise<void> {
    await rm(join(this.#folder, CLAIM), { force: true });
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

  /** Gives a staged release its final name. Idempotent. */
  async moveToFinalName(release: string): Promise<void> {
    if (await this.isActivated(release)) return;
    await rename(this.stagingOf(release), this.folderOf(release));
    await syncPath(join(this.#folder, 'releases'));
  }

  /** Points a link at a release, atomically and durably; without one the link is removed. */
  async link(link: 'current' | 'previous', release: string | undefined): Promise<void> {
    if (release === undefined) {
      await rm(join(this.#folder, link), { force: true });
      await syncPath(this.#folder);
      return;
    }
    const fresh = join(this.#folder, `.${link}.${randomBytes(6).toString('hex')}`);
    await symlink(join('releases', release), fresh);
    await rename(fresh, join(this.#folder, link));
    await syncPath(this.#folder);
  }

  /**
   * Removes every release but the current one, those that succeeded and those of tasks that `keeps` names, and all
   * temporary files but of those releases and of what is being acquired. Goes on after a failure; rejects with the first
   * one at the end.
   */
  async removeOthers(keeps: (task: string) => boolean, isAcquiring: (release: string) => boolean): Promise<void> {
    const kept = [await this.linked('current'), await this.linked('previous'), ...(await this.succeeded())];
    for (const release of await this.names()) {
      const record = await this.record(release);
      if (record !== undefined && keeps(record.task)) kept.push(release);
    }
    const reasons: unknown[] = [];
    const attempt = (work: Promise<unknown>): Promise<unknown> => work.catch((thrown: unknown) => reasons.push(thrown));
    for (const name of await readdir(join(this.#folder, 'releases'))) {
      const release = name.replace(/\.(?:staging|json)$/, '');
      if (!kept.includes(release)) await attempt(this.#putAway(this.folderOf(name)));
    }
    const unpacked = (await this.private.allUnpacked()).filter(({ task }) => keeps(task));
    const made = new Set(unpacked.map(({ release }) => release));
    await attempt(this.private.removeOthers((release) => made.has(release) || isAcquiring(release)));
    for (const name of await readdir(this.#folder)) {
      if (/^\.(?:current|previous)\./.test(name)) await attempt(rm(join(this.#folder, name), { force: true }));
    }
    if (reasons.length > 0) throw reasons[0];
  }

  /**
   * Moves a folder into `.private`, where it can be removed safely: scripts may be able to write in a release. Returns
   * its path there.
   */
  async #putAway(path: string): Promise<string> {
    const gone = join(this.private.path, `${basename(path)}.${randomBytes(6).toString('hex')}`);
    try {
      // Moving a folder needs write permission in it, which a script may have removed.
      if ((await lstat(path)).isDirectory()) await chmod(path, 0o700);
      await rename(path, gone);
    } catch (thrown) {
      if (errnoOf(thrown) !== 'ENOENT') throw thrown;
    }
    return gone;
  }
}

function isFolder(path: string): boolean {
  assertNoLink(path);
  return existsSync(path);
}

async function readJson<Value>(path: string): Promise<Value | undefined> {
  try {
    // Written only in this file, by writeDurably: complete or absent.
    return JSON.parse(await readFile(path, 'utf8')) as Value;
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
