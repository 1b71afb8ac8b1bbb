// Installs releases to a folder that the step names (`installTo`), beside the data folder. The folder is emptied only
// where the marker of the same installation lies, and it is not switched atomically.
import { constants } from 'node:fs';
import { open, readdir, readFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../../../contract/errors.ts';
import { Mutex } from '../../../lib/async/mutex.ts';
import { writeDurably } from '../../../lib/files/durable.ts';
import { errnoOf, translateDiskFull } from '../../../lib/files/disk-space.ts';
import { installationName, type Installation } from '../../installation.ts';
import { removeTree } from '../../remove-tree.ts';
import { copyTree } from './copy-tree.ts';
import { forbidden, isDenied, openInstallFolder, overlaps, pathOf, type InstallLimits } from './install-path.ts';
import type { Releases } from '../releases.ts';

export interface InstallFoldersOptions extends InstallLimits {
  /** Another tentacle, also of another mesh, may run on this machine. */
  readonly tentacle: { readonly mesh: string; readonly node: string };
}

/** An installation and its releases. */
export interface Installed {
  readonly installation: Installation;
  readonly releases: Releases;
}

/** Where to install, what else is installed on this machine, and what ends it early. */
interface InstallTarget {
  readonly path: string;
  readonly others: readonly Installed[];
  readonly signal: AbortSignal | undefined;
}

/** Lies in the folder and says whose it is. */
const MARKER = '.isthmus-installation';
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW;

export class InstallFolders {
  readonly #options: InstallFoldersOptions;
  /** Two installations may not take one folder at once. */
  readonly #claiming = new Mutex();

  constructor(options: InstallFoldersOptions) {
    this.#options = options;
  }

  /**
   * Replaces the content of the folder by a release. When that fails, also once `signal` aborts, the last release that
   * succeeded is put back, and the error says so. INSTALL_FORBIDDEN and INSTALL_IN_USE change nothing. Idempotent.
   */
  async install(own: Installed, release: string, { path, others, signal }: InstallTarget): Promise<void> {
    const folder = await this.#claiming.run(() => this.#claim(own, release, path, others));
    try {
      await fill(folder, own.releases.folderOf(release), signal);
    } catch (thrown) {
      const error = IsthmusError.from(translateDiskFull(thrown, path));
      const after = await this.#putBack(own, folder, path).catch((again: unknown) => {
        return `putting back what was there failed, too: ${IsthmusError.from(again).message}`;
      });
      throw new IsthmusError(error.code, `${path}: ${error.message}; ${after}`, { cause: thrown });
    } finally {
      await folder.close();
    }
  }

  /** Puts the last release that succeeded back into the folder, if `release` is there. Idempotent. */
  async restore(own: Installed, release: string): Promise<void> {
    const claim = await own.releases.claim();
    if (claim?.release !== release) return;
    const folder = await openInstallFolder(claim.path, this.#options);
    try {
      await this.#assertOurs(own.installation, folder, claim.path);
      await this.#putBack(own, folder, claim.path);
    } finally {
      await folder.close();
    }
  }

  /** Opens the folder and takes it for the installation. */
  async #claim(
    { installation, releases }: Installed,
    release: string,
    path: string,
    others: readonly Installed[],
  ): Promise<FileHandle> {
    for (const other of others) {
      const taken = (await other.releases.claim())?.path;
      if (taken === undefined || !overlaps(taken, path)) continue;
      const owner = installationName(other.installation);
      if (owner !== installationName(installation)) throw inUse(path, `${owner} is installed to ${taken}`);
    }
    const folder = await openInstallFolder(path, this.#options);
    try {
      await this.#assertOurs(installation, folder, path);
      // Before the marker is written anew: the folder of a release may forbid that.
      await takeOver(folder, path);
      releases.setClaim({ path, release });
      writeDurably(join(pathOf(folder), MARKER), this.#marker(installation), 0o644);
      return folder;
    } catch (thrown) {
      await folder.close();
      throw thrown;
    }
  }

  /** An empty folder, or one that has the marker of this installation, written by this account. */
  async #assertOurs(installation: Installation, folder: FileHandle, path: string): Promise<void> {
    const marker = await openMarker(folder);
    if (marker === undefined) {
      if ((await readdir(`${pathOf(folder)}/`)).length > 0) throw inUse(path, `it has files, and no ${MARKER}`);
      return;
    }
    try {
      const { uid } = await marker.stat();
      const isOurs = uid === process.geteuid!() && (await readFile(marker, 'utf8')) === this.#marker(installation);
      if (!isOurs) throw inUse(path, `its ${MARKER} is of another installation`);
    } finally {
      await marker.close();
    }
  }

  #marker(installation: Installation): string {
    return `${JSON.stringify({ ...this.#options.tentacle, ...installation })}\n`;
  }

  /** Returns what is there now, in words. */
  async #putBack({ releases }: Installed, folder: FileHandle, path: string): Promise<string> {
    const [last] = await releases.succeeded();
    await takeOver(folder, path);
    await fill(folder, last === undefined ? undefined : releases.folderOf(last));
    releases.setClaim({ path, release: last ?? '' });
    return last === undefined ? 'the folder is empty' : `${last} is installed again`;
  }
}

async function openMarker(folder: FileHandle): Promise<FileHandle | undefined> {
  try {
    return await open(join(pathOf(folder), MARKER), READ_ONLY);
  } catch (thrown) {
    if (errnoOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** From then on, until the folder is complete, only this account can write there. */
async function takeOver(folder: FileHandle, path: string): Promise<void> {
  try {
    await folder.chown(process.geteuid!(), process.getegid!());
    await folder.chmod(0o755);
  } catch (thrown) {
    throw isDenied(thrown) ? forbidden(path, 'it belongs to another account than that of the tentacle') : thrown;
  }
}

/** Replaces everything in a folder that was taken over, but the marker. */
async function fill(folder: FileHandle, from: string | undefined, signal?: AbortSignal): Promise<void> {
  for (const entry of await readdir(`${pathOf(folder)}/`, { encoding: 'buffer' })) {
    if (entry.equals(Buffer.from(MARKER))) continue;
    await removeTree(Buffer.concat([Buffer.from(`${pathOf(folder)}/`), entry]), signal);
  }
  if (from !== undefined) await copyTree(from, folder, { except: MARKER, signal });
}

function inUse(path: string, why: string): IsthmusError {
  return new IsthmusError('INSTALL_IN_USE', `nothing was installed to ${path}: ${why}`, { field: 'installTo' });
}
