// Packages on a tentacle: acquire.ts fetches into a cache, unpack.ts unpacks meanwhile, stage.ts makes a release of that,
// activate.ts switches, install/ copies to the folder that a step names, releases.ts manages the folders, handlers.ts
// has the gRPC methods.
import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../lib/async/mutex.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { SourceState } from '../../lib/blobs/source-states.ts';
import { letThrough, makeReadable } from '../data-folder.ts';
import { installationName, type Installation } from '../installation.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageStatus__Output } from '../../proto/gen/isthmus/tentacle/v1/PackageStatus.ts';
import { Acquirer, DEFAULT_RESERVE_BYTES, type AcquireDeps, type AcquireProgress } from './acquire.ts';
import { activateRelease } from './activate.ts';
import { InstallFolders, type InstallFoldersOptions } from './install/install-to.ts';
import type { FileOwner } from './ownership.ts';
import { readOrder, type PackageOrder } from './payload.ts';
import { releaseName, Releases } from './releases.ts';
import { revertRelease, settleRelease } from './settle.ts';
import { SharedWork, type Caller } from './shared-work.ts';
import { readStampKey, stageRelease } from './stage.ts';
import { Tars } from './tars.ts';
import { acquireUnpacked } from './unpack.ts';

export interface PackagesOptions extends Omit<AcquireDeps, 'blobs' | 'tars'>, InstallFoldersOptions {
  /** The user scripts run as, when that is not the tentacle's own. */
  readonly owner?: FileOwner | undefined;
  /** Whether a script of a task has not ended: it may work in the task's release. */
  readonly hasOpenScript: (task: string) => boolean;
  /** Packages kept in the cache beside those of the releases on disk. */
  readonly keptRecent?: number | undefined;
}

/** So that a rollback past the previous release needs no download. */
const DEFAULT_KEPT_RECENT = 3;

/** Opens the cache and the applications of a data folder, and removes what is left of packages that were being unpacked. */
export async function createPackages(options: PackagesOptions): Promise<Packages> {
  const { dataDir } = options;
  await makeReadable(join(dataDir, 'applications'));
  await letThrough(dataDir);
  const blobs = await BlobStore.open(join(dataDir, 'packages'));
  const tars = await Tars.open(blobs);
  const stampKey = readStampKey(join(dataDir, 'packages', 'stamp.key'), () => randomBytes(32));
  const packages = new Packages(options, { blobs, tars }, stampKey);
  await packages.removeUnfinished();
  return packages;
}

export class Packages {
  readonly #options: PackagesOptions;
  readonly #blobs: BlobStore;
  readonly #tars: Tars;
  readonly #stampKey: Buffer;
  readonly #acquirer: Acquirer;
  /** By the folder of the release that is made. */
  readonly #acquisitions = new SharedWork<AcquireProgress, AcquireProgress>();
  /** How many acquisitions need each package. */
  readonly #needed = new Map<string, number>();
  readonly #installFolders: InstallFolders;
  /** One operation at a time per installation. */
  readonly #busy = new Mutex();

  constructor(options: PackagesOptions, { blobs, tars }: { blobs: BlobStore; tars: Tars }, stampKey: Buffer) {
    this.#options = options;
    this.#blobs = blobs;
    this.#tars = tars;
    this.#stampKey = stampKey;
    this.#acquirer = new Acquirer({ ...options, blobs, tars });
    this.#installFolders = new InstallFolders(options);
  }

  /** Removes what no task will finish: a package that was being unpacked when the process ended. */
  async removeUnfinished(): Promise<void> {
    for (const installation of await this.#installations()) {
      const { private: folder } = this.#releases(installation);
      const whole = new Set((await folder.allUnpacked()).map(({ release }) => release));
      await folder
        .removeOthers((release) => whole.has(release))
        .catch((error: unknown) => {
          const name = installationName(installation);
          this.#options.log.warn({ err: error, installation: name }, 'an unfinished package cannot be removed');
        });
    }
  }

  /**
   * Fetches the package into the cache, and unpacks it for the task into the agent's private folder. Releases that
   * nothing needs any more are removed first, as by `stage`. Idempotent; the download resumes where it stopped.
   */
  acquire(payload: PackagePayload__Output, task: string, caller: Caller<AcquireProgress>): Promise<AcquireProgress> {
    const order = readOrder(payload);
    return this.#acquisitions.join(this.#acquisitionOf(order, task), caller, (onProgress, signal) =>
      this.#needing(order.sha256, () => this.#acquire(order, task, { onProgress, signal })),
    );
  }

  /** What this machine has seen of its sources of packages. */
  sourceStates(): SourceState[] {
    return this.#acquirer.sourceStates();
  }

  /**
   * What acquiring answered, for an order that was carried out; TICKET_ALREADY_USED when the package has gone since.
   */
  acquired(payload: PackagePayload__Output): AcquireProgress {
    return this.#acquirer.cached(readOrder(payload)) ?? usedUp();
  }

  /**
   * Makes the acquired package the release of a task, and substitutes variables. Releases that nothing needs any more
   * are removed first; what cannot be removed is tried again the next time. Once `signal` aborts, it stops and
   * removes what it left. Idempotent.
   */
  async stage(payload: PackagePayload__Output, task: string, signal?: AbortSignal): Promise<PackageStatus__Output> {
    const order = readOrder(payload);
    const { log, owner, reserveBytes = DEFAULT_RESERVE_BYTES } = this.#options;
    // The server knows of an end of acquiring that this one has not come to: its answer was lost.
    const over = new IsthmusError('CANCELLED', 'the package is being staged');
    await this.#acquisitions.end(this.#acquisitionOf(order, task), over);
    return this.#alone(order.installation, async (releases) => {
      signal?.throwIfAborted();
      await releases.prepare();
      await this.#removeUnneeded(order, releases, task);
      const deps = { blobs: this.#blobs, tars: this.#tars, log, owner, reserveBytes, stampKey: this.#stampKey, signal };
      const release = await stageRelease(releases, order, task, deps);
      return this.#status(order.installation, releases, release);
    });
  }

  /**
   * Installs the release that the task has staged where the step says, and switches `current` to it. Once `signal`
   * aborts, it stops before the switch, and puts back what was installed. Idempotent.
   */
  async activate(payload: PackagePayload__Output, task: string, signal?: AbortSignal): Promise<PackageStatus__Output> {
    const order = readOrder(payload);
    return this.#alone(order.installation, async (releases) => {
      signal?.throwIfAborted();
      const install = (name: string) => this.#install(order, releases, name, signal);
      const release = await activateRelease(releases, order, task, install);
      return this.#status(order.installation, releases, release);
    });
  }

  /**
   * Keeps the task's release, whose step has succeeded, with the few that succeeded before it, and removes what is not
   * needed any more. Or switches back, when the step has not succeeded. Idempotent.
   */
  async settle(payload: PackagePayload__Output, task: string): Promise<PackageStatus__Output> {
    const order = readOrder(payload);
    return this.#alone(order.installation, async (releases) => {
      if (order.revert) {
        const reverted = await this.#revert(order.installation, releases, task);
        return this.#status(order.installation, releases, reverted);
      }
      const release = await settleRelease(releases, order, task);
      await this.#removeUnneeded(order, releases, task);
      return this.#status(order.installation, releases, release);
    });
  }

  /** The release of a task as it is now; TICKET_ALREADY_USED when it has gone since. */
  async status(payload: PackagePayload__Output, task: string): Promise<PackageStatus__Output> {
    const { installation } = readOrder(payload);
    return this.#alone(installation, async (releases) => {
      return this.#status(installation, releases, (await releases.ofTask(task)) ?? usedUp());
    });
  }

  /** The folder of the release that a task has staged, whether it is activated by now or not. */
  async releaseFolder(installation: Installation, task: string): Promise<string> {
    const releases = this.#releases(installation);
    const release = await releases.ofTask(task);
    if (release !== undefined && (await releases.isActivated(release))) return releases.folderOf(release);
    if (release !== undefined && (await releases.isStaged(release))) return releases.stagingOf(release);
    const name = installationName(installation);
    throw new IsthmusError('APPLICATION_MISSING', `task ${task} has no release of ${name} on this machine`);
  }

  /** Ends every download. The bytes received stay for the next start. */
  async stop(): Promise<void> {
    await this.#acquisitions.endAll(new IsthmusError('CANCELLED', 'the tentacle is stopping'));
    await this.#acquirer.stop();
    await this.#busy.idle();
  }

  async #acquire(order: PackageOrder, task: string, caller: Caller<AcquireProgress>): Promise<AcquireProgress> {
    const { reserveBytes = DEFAULT_RESERVE_BYTES } = this.#options;
    const release = releaseName(order, task);
    const releases = this.#releases(order.installation);
    const isMade = await this.#alone(order.installation, async () => {
      await releases.prepare();
      await this.#removeUnneeded(order, releases, task);
      if ((await releases.record(release)) !== undefined) return true;
      if ((await releases.private.unpacked(release)) !== undefined) return true;
      await releases.private.clear(release);
      return false;
    });
    if (isMade) return this.#acquirer.acquire(order, caller);
    const deps = { acquirer: this.#acquirer, blobs: this.#blobs, tars: this.#tars, reserveBytes };
    const { acquired, folder } = await acquireUnpacked(order, releases.private.buildingOf(release), deps, caller);
    releases.private.markUnpacked(release, { ...folder, task, sha256: order.sha256 });
    return acquired;
  }

  #acquisitionOf(order: PackageOrder, task: string): string {
    return this.#releases(order.installation).private.buildingOf(releaseName(order, task));
  }

  /** Does work for which a package stays in the cache. */
  async #needing<Result>(sha256: string, work: () => Promise<Result>): Promise<Result> {
    this.#needed.set(sha256, (this.#needed.get(sha256) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = this.#needed.get(sha256)! - 1;
      if (left > 0) this.#needed.set(sha256, left);
      else this.#needed.delete(sha256);
    }
  }

  async #install(
    { installation, installTo }: PackageOrder,
    releases: Releases,
    release: string,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const before = (await releases.claim())?.path;
    // First: once the claim is another one, nothing else knows of the folder.
    if (before !== undefined && before !== installTo) await releases.recordLeftFolder(release, before);
    if (installTo === undefined) return releases.dropClaim();
    const others = (await this.#installations()).map((each) => ({
      installation: each,
      releases: this.#releases(each),
    }));
    await this.#installFolders.install({ installation, releases }, release, { path: installTo, others, signal });
  }

  async #revert(installation: Installation, releases: Releases, task: string): Promise<string | undefined> {
    const release = await revertRelease(releases, task);
    if (release !== undefined) await this.#installFolders.restore({ installation, releases }, release);
    return release;
  }

  #releases({ project, environment, step }: Installation): Releases {
    return new Releases(join(this.#options.dataDir, 'applications', project, environment, step));
  }

  #alone<Result>(installation: Installation, work: (releases: Releases) => Promise<Result>): Promise<Result> {
    return this.#busy.run(() => work(this.#releases(installation)), installationName(installation));
  }

  async #status(
    installation: Installation,
    releases: Releases,
    release: string | undefined,
  ): Promise<PackageStatus__Output> {
    const versionOf = async (name: string | undefined) =>
      name === undefined ? '' : ((await releases.record(name))?.version ?? '');
    const record = release === undefined ? undefined : await releases.record(release);
    return {
      installation,
      releasePath: release === undefined ? '' : await releases.pathOf(release),
      previousVersion: await versionOf(await releases.linked('previous')),
      currentVersion: await versionOf(await releases.linked('current')),
      files: record?.files ?? 0,
      bytes: record?.bytes ?? 0,
      warnings: [...(record?.warnings ?? [])],
      warningsLeftOut: record?.warningsLeftOut ?? 0,
      leftFolder: record?.leftFolder ?? '',
    };
  }

  /**
   * Removes the releases and packages that neither the task, nor a running script, nor a link needs. A failure is only
   * logged: what was asked for does not depend on it.
   */
  async #removeUnneeded(order: PackageOrder, releases: Releases, task: string): Promise<void> {
    const { log, hasOpenScript } = this.#options;
    try {
      await releases.removeOthers(
        (other) => other === task || hasOpenScript(other),
        (release) => this.#acquisitions.has(releases.private.buildingOf(release)),
      );
    } catch (error) {
      const installation = installationName(order.installation);
      log.warn({ err: error, installation }, 'older releases cannot be removed completely');
    }
    await this.#trimCache(order.sha256).catch((error: unknown) => {
      log.warn({ err: error }, 'older packages cannot be removed from the cache');
    });
  }

  /** Keeps the packages of all releases on disk, those that are needed now, and the few used most recently. */
  async #trimCache(needed: string): Promise<void> {
    const used = new Set([needed]);
    for (const installation of await this.#installations()) {
      const releases = this.#releases(installation);
      for (const { sha256 } of await releases.private.allUnpacked()) used.add(sha256);
      for (const release of await releases.names()) {
        const record = await releases.record(release);
        if (record !== undefined) used.add(record.sha256);
      }
    }
    const isUsed = (sha256: string) => used.has(sha256) || this.#needed.has(sha256);
    const others = this.#blobs.list().filter(({ sha256 }) => !isUsed(this.#tars.packageOf(sha256)));
    others.sort((a, b) => b.usedAtMs - a.usedAtMs);
    for (const { sha256 } of others.slice(this.#options.keptRecent ?? DEFAULT_KEPT_RECENT))
      await this.#blobs.delete(sha256);
  }

  /** Every installation on this machine. */
  async #installations(): Promise<Installation[]> {
    const root = join(this.#options.dataDir, 'applications');
    const found: Installation[] = [];
    for (const project of await foldersIn(root)) {
      for (const environment of await foldersIn(join(root, project))) {
        for (const step of await foldersIn(join(root, project, environment)))
          found.push({ project, environment, step });
      }
    }
    return found;
  }
}

async function foldersIn(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

function usedUp(): never {
  throw new IsthmusError('TICKET_ALREADY_USED', 'the order was carried out before, and what it made is gone');
}
