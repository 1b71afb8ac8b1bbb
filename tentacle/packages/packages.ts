// Packages on a tentacle: acquire.ts fetches into a cache, stage.ts unpacks, activate.ts switches, releases.ts manages
// the folders, handlers.ts has the gRPC methods.
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Mutex } from '../../lib/async/mutex.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { BlobStore } from '../../lib/blobs/blob-store.ts';
import type { PackagePayload__Output } from '../../proto/gen/isthmus/tentacle/v1/PackagePayload.ts';
import type { PackageStatus__Output } from '../../proto/gen/isthmus/tentacle/v1/PackageStatus.ts';
import { Acquirer, type AcquireDeps, type AcquireProgress } from './acquire.ts';
import { activateRelease } from './activate.ts';
import { isApplicationName, readOrder } from './payload.ts';
import { Releases } from './releases.ts';
import { readStampKey, stageRelease, type FileOwner } from './stage.ts';

export interface PackagesOptions extends Omit<AcquireDeps, 'blobs'> {
  readonly dataDir: string;
  /** The user scripts run as, when that is not the tentacle's own. */
  readonly owner?: FileOwner | undefined;
  /** Packages kept in the cache beside those of current and previous releases. */
  readonly keptRecent?: number | undefined;
}

/** So that a rollback past the previous release needs no download. */
const DEFAULT_KEPT_RECENT = 3;

/** Opens the cache and the applications of a data folder. */
export async function createPackages(options: PackagesOptions): Promise<Packages> {
  const { dataDir, owner } = options;
  const applications = join(dataDir, 'applications');
  await mkdir(applications, { recursive: true, mode: 0o700 });
  if (owner !== undefined) {
    // Scripts can reach their release; no other user can.
    await chown(applications, -1, owner.gid);
    await chmod(applications, 0o750);
  }
  const blobs = await BlobStore.open(join(dataDir, 'packages'));
  const stampKey = await readStampKey(join(dataDir, 'packages', 'stamp.key'), () => randomBytes(32));
  return new Packages(options, blobs, stampKey);
}

export class Packages {
  readonly #options: PackagesOptions;
  readonly #blobs: BlobStore;
  readonly #stampKey: Buffer;
  readonly #acquirer: Acquirer;
  /** One operation at a time per application. */
  readonly #busy = new Mutex();

  constructor(options: PackagesOptions, blobs: BlobStore, stampKey: Buffer) {
    this.#options = options;
    this.#blobs = blobs;
    this.#stampKey = stampKey;
    this.#acquirer = new Acquirer({ ...options, blobs });
  }

  /** Fetches the package into the cache. Idempotent; resumes where it stopped. */
  acquire(
    payload: PackagePayload__Output,
    onProgress: (progress: AcquireProgress) => void,
    signal: AbortSignal,
  ): Promise<AcquireProgress> {
    return this.#acquirer.acquire(readOrder(payload), onProgress, signal);
  }

  /** Unpacks the acquired package, once per ticket, and substitutes variables. */
  async stage(payload: PackagePayload__Output, ticket: string): Promise<PackageStatus__Output> {
    const order = readOrder(payload);
    const { log, owner } = this.#options;
    return this.#alone(order.application, async (releases) => {
      const deps = { blobs: this.#blobs, log, owner, stampKey: this.#stampKey };
      const release = await stageRelease(releases, order, ticket, deps);
      return this.#status(order.application, releases, release);
    });
  }

  /**
   * Switches `current` to the staged release, and removes releases older than the previous one. What cannot be removed
   * is tried again by the next activation. Idempotent.
   */
  async activate(payload: PackagePayload__Output): Promise<PackageStatus__Output> {
    const order = readOrder(payload);
    return this.#alone(order.application, async (releases) => {
      const release = await activateRelease(releases, order);
      await this.#tidy(order.application, releases.removeOthers());
      await this.#tidy(order.application, this.#trimCache());
      return this.#status(order.application, releases, release);
    });
  }

  /** The folder of an application's staged or current release; APPLICATION_MISSING when there is none. */
  async applicationFolder(application: string, stage: 'staged' | 'current'): Promise<string> {
    const missing = new IsthmusError('APPLICATION_MISSING', `there is no ${stage} release of ${application} here`);
    if (!isApplicationName(application)) throw missing;
    const releases = this.#releases(application);
    const release = stage === 'current' ? await releases.linked('current') : (await releases.staged())?.release;
    if (release === undefined) throw missing;
    if (await releases.isActivated(release)) return releases.folderOf(release);
    if (stage === 'staged' && (await releases.isStaged(release))) return releases.stagingOf(release);
    throw missing;
  }

  /** Ends every download. The bytes received stay for the next start. */
  async stop(): Promise<void> {
    await this.#acquirer.stop();
    await this.#busy.idle();
  }

  #releases(application: string): Releases {
    return new Releases(join(this.#options.dataDir, 'applications', application));
  }

  #alone<Result>(application: string, work: (releases: Releases) => Promise<Result>): Promise<Result> {
    return this.#busy.run(() => work(this.#releases(application)), application);
  }

  async #status(application: string, releases: Releases, release: string): Promise<PackageStatus__Output> {
    const versionOf = async (name: string | undefined) =>
      name === undefined ? '' : ((await releases.record(name))?.version ?? '');
    const record = await releases.record(release);
    const activated = await releases.isActivated(release);
    return {
      application,
      releasePath: activated ? releases.folderOf(release) : releases.stagingOf(release),
      previousVersion: await versionOf(await releases.linked('previous')),
      currentVersion: await versionOf(await releases.linked('current')),
      files: record?.files ?? 0,
      bytes: record?.bytes ?? 0,
    };
  }

  /** Logs a failed clean-up: the switch itself has succeeded. */
  async #tidy(application: string, work: Promise<void>): Promise<void> {
    await work.catch((error: unknown) => {
      this.#options.log.warn({ err: error, application }, 'older releases cannot be removed completely');
    });
  }

  /** Keeps the packages of current, previous and staged releases, and the few used most recently. */
  async #trimCache(): Promise<void> {
    const used = new Set<string>();
    for (const application of await readdir(join(this.#options.dataDir, 'applications'))) {
      const releases = this.#releases(application);
      for (const release of [
        await releases.linked('current'),
        await releases.linked('previous'),
        (await releases.staged())?.release,
      ]) {
        const record = release === undefined ? undefined : await releases.record(release);
        if (record !== undefined) used.add(record.sha256);
      }
    }
    const others = this.#blobs.list().filter(({ sha256 }) => !used.has(sha256));
    others.sort((a, b) => b.usedAtMs - a.usedAtMs);
    for (const { sha256 } of others.slice(this.#options.keptRecent ?? DEFAULT_KEPT_RECENT))
      await this.#blobs.delete(sha256);
  }
}
