// The upgrade of this node's host, as far as the node takes part: it fetches a tarball whose signature is right, orders
// the upgrade from the host's root process, and passes the server's confirmation on. Map of this folder:
//   start.ts      serves the mesh service `upgrade`       download.ts   fetches the tarball
//   upgrade.ts    what the methods do                     host.ts       the host of this process, and how far it is
import { arch } from 'node:os';
import type { JoinRole } from '../../contract/join-tokens.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { parseTarballName, readTrustedKeys, signedDigest } from '../../certs/release-keys.ts';
import { readOrders, writeConfirmation, writeOrder } from '../../host/orders.ts';
import { hasEnded, readJournal, upgradeOf, type Change } from '../../host/versions/journal.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { BeginRequest__Output } from '../../proto/gen/isthmus/upgrade/v1/BeginRequest.ts';
import type { UpgradeStatus__Output } from '../../proto/gen/isthmus/upgrade/v1/UpgradeStatus.ts';
import { receivedSources } from '../sources/find.ts';
import { clearUpgradeFolder, fetchTarball, type DownloadDeps, type DownloadProgress } from './download.ts';
import type { UpgradeHost } from './host.ts';

export interface UpgradeOptions extends Omit<DownloadDeps, 'versions'> {
  readonly role: JoinRole;
  readonly host: UpgradeHost;
  /** Of the software that runs. */
  readonly version: string;
  readonly log: Logger;
}

/** What this process knows of an upgrade that the host has not begun. */
interface Own {
  readonly id: string;
  readonly stop: AbortController;
  readonly totalBytes: number;
  /** Of the monotonic clock; undefined until it is ordered. */
  orderedAtMs?: number;
  progress: DownloadProgress;
  error?: IsthmusError;
}

type Phase = UpgradeStatus__Output['phase'];

const PHASES: Readonly<Record<Change['phase'], Phase>> = {
  unpacking: 'UNPACKING',
  switching: 'RESTARTING',
  restarting: 'RESTARTING',
  'awaiting-confirmation': 'AWAITING_CONFIRMATION',
  confirmed: 'CONFIRMED',
  'going-back': 'GOING_BACK',
  'went-back': 'WENT_BACK',
  failed: 'FAILED',
};

/** An order that the host has not taken for so long stands in the way of no other. */
const ORDER_HOLDS_MS = 120_000;

const NO_PROGRESS: DownloadProgress = { bytes: 0, from: '' };

export class NodeUpgrade {
  readonly #options: UpgradeOptions;
  /** Begins, and withdraws, one at a time. */
  readonly #alone = new Mutex();
  #own: Own | undefined;
  #fetching: Promise<void> = Promise.resolve();

  constructor(options: UpgradeOptions) {
    this.#options = options;
  }

  /**
   * Begins an upgrade; one that has begun goes on. UPGRADE_UNSUPPORTED, UPGRADE_BUSY, UPGRADE_DOWNGRADE,
   * SOFTWARE_ARCHITECTURE, or why the tarball is not trusted: then nothing is fetched.
   */
  begin(request: BeginRequest__Output): Promise<UpgradeStatus__Output> {
    return this.#alone.run(() => this.#begin(request));
  }

  async #begin(request: BeginRequest__Output): Promise<UpgradeStatus__Output> {
    const { host, version } = this.#options;
    const { id, tarball: name } = request;
    if (host.unsupported !== undefined) throw host.unsupported;
    const known = this.status(id);
    const hasDownloadFailed = this.#own?.id === id && this.#own.error !== undefined && known.phase === 'FAILED';
    if (known.phase !== 'UPGRADE_PHASE_UNSPECIFIED' && !hasDownloadFailed) return known;
    this.#assertFree(id);
    const tarball = parseTarballName(name);
    if (tarball === undefined) {
      throw new IsthmusError('INVALID_FIELD', `${name} is not the name of a tarball`, { field: 'tarball' });
    }
    if (tarball.architecture !== arch()) {
      throw new IsthmusError('SOFTWARE_ARCHITECTURE', `${name} is for ${tarball.architecture}, this host is ${arch()}`);
    }
    const order = compareVersions(tarball.version, version);
    if (order === 0) return { ...known, phase: 'ALREADY_THERE', code: '', detail: '' };
    if (order < 0) {
      throw new IsthmusError('UPGRADE_DOWNGRADE', `${tarball.version} is lower than ${version}, which runs here`);
    }
    const trusted = await readTrustedKeys(host.layout.releaseKeys);
    const sha256 = signedDigest(request, name, trusted);
    this.#fetch(request, { version: tarball.version, sha256 });
    return this.status(id);
  }

  /** The state of an upgrade. UPGRADE_BUSY while it is ordered, and waits for another one to end. */
  status(id: string): UpgradeStatus__Output {
    const status = this.#stateOf(id);
    if (status.phase === 'ORDERED') this.#assertHostFree(id);
    return status;
  }

  #stateOf(id: string): UpgradeStatus__Output {
    const { host, version } = this.#options;
    const { unsupported } = host;
    const about = (phase: Phase, { code = '', message = '' }: { code?: string; message?: string } = {}) => {
      const { progress = NO_PROGRESS, totalBytes = 0 } = this.#own?.id === id ? this.#own : {};
      return {
        ...{ softwareVersion: version, architecture: arch(), unsupported: unsupported?.message ?? '' },
        ...{ phase, code, detail: message },
        ...{ receivedBytes: progress.bytes, totalBytes, from: progress.from },
      };
    };
    if (id === '' || unsupported !== undefined) return about('UPGRADE_PHASE_UNSPECIFIED');
    const latest = this.#changeOf(id);
    // The order of another node of this host came first.
    if (latest?.phase === 'failed' && latest.to === version) return about('ALREADY_THERE');
    if (latest !== undefined) return about(PHASES[latest.phase], 'code' in latest ? latest : {});
    const own = this.#own;
    if (own?.id !== id) return about(this.#orderedUpgrade() === id ? 'ORDERED' : 'UPGRADE_PHASE_UNSPECIFIED');
    if (own.error !== undefined) return about('FAILED', own.error);
    return about(own.orderedAtMs === undefined ? 'FETCHING' : 'ORDERED');
  }

  /** Passes on that the version works which the host has switched to. UPGRADE_NOT_CONFIRMED when another one runs. */
  confirm(id: string): UpgradeStatus__Output {
    const { dataDir, version } = this.#options;
    const latest = this.#changeOf(id);
    if (latest === undefined || hasEnded(latest)) return this.status(id);
    if (latest.to !== version) {
      throw new IsthmusError('UPGRADE_NOT_CONFIRMED', `${version} runs here, not ${latest.to}`);
    }
    writeConfirmation(dataDir, { id, version });
    return this.status(id);
  }

  /** Ends an upgrade that the host has not begun; any other goes on. */
  async withdraw(id: string): Promise<UpgradeStatus__Output> {
    if (this.#own?.id === id) await this.stop();
    await this.#alone.run(async () => {
      const { phase } = this.#stateOf(id);
      const isOwn = this.#own?.id === id;
      if (phase !== 'ORDERED' && !(isOwn && phase === 'FAILED')) return;
      if (isOwn) this.#own = undefined;
      await clearUpgradeFolder(this.#options.dataDir);
    });
    return this.#stateOf(id);
  }

  /** Ends the download. The bytes received stay for the next try. */
  async stop(): Promise<void> {
    this.#own?.stop.abort(new IsthmusError('CANCELLED', 'the upgrade was withdrawn'));
    await this.#fetching;
  }

  #fetch(
    request: BeginRequest__Output,
    { version, sha256 }: { readonly version: string; readonly sha256: string },
  ): void {
    const { id, tarball, sizeBytes, sums, confirmWithinS, downloadToken } = request;
    const sources = receivedSources(request.sources);
    const { dataDir, host, role, log } = this.#options;
    const own: Own = { id, stop: new AbortController(), totalBytes: sizeBytes, progress: NO_PROGRESS };
    const { signal } = own.stop;
    this.#own = own;
    const work = async (): Promise<void> => {
      const deps = { ...this.#options, versions: host.layout.versions };
      const onProgress = (progress: DownloadProgress): void => {
        own.progress = progress;
      };
      const wanted = { name: tarball, sha256, sizeBytes };
      own.progress = await fetchTarball(deps, wanted, { sources, downloadToken }, { signal, onProgress });
      signal.throwIfAborted();
      const signature = request.signature.toString('base64');
      await writeOrder(dataDir, { id, role, version, tarball, sums, signature, confirmWithinS });
      own.orderedAtMs = performance.now();
      log.info({ upgrade: id, version }, 'an upgrade of this host is ordered');
    };
    this.#fetching = work().catch((thrown: unknown) => {
      own.error = IsthmusError.from(thrown);
      log.warn(
        { upgrade: id, version, code: own.error.code, err: own.error.message },
        'the software for an upgrade was not fetched',
      );
    });
  }

  #assertFree(id: string): void {
    this.#assertHostFree(id);
    const own = this.#own;
    if (own === undefined || own.id === id || own.error !== undefined || this.#changeOf(own.id) !== undefined) return;
    if (own.orderedAtMs === undefined || performance.now() - own.orderedAtMs < ORDER_HOLDS_MS) throw busyWith(own.id);
  }

  /** Nodes of one host may have orders at the same time. It carries out one after the other. */
  #assertHostFree(id: string): void {
    const latest = readJournal(this.#options.host.layout);
    if (latest !== undefined && latest.id !== id && !hasEnded(latest)) throw busyWith(latest.id);
  }

  /** What has become of an upgrade, if this very node ordered it: another one may have used the id. */
  #changeOf(id: string): Change | undefined {
    const { host, role } = this.#options;
    return upgradeOf(host.layout, role, id);
  }

  /** The upgrade whose order lies in the data folder, also when a process before this one wrote it. */
  #orderedUpgrade(): string | undefined {
    const { host, role } = this.#options;
    const found = readOrders(host.layout).find((each) => each.role === role);
    return found !== undefined && 'order' in found ? found.order.id : undefined;
  }
}

function busyWith(id: string): IsthmusError {
  return new IsthmusError('UPGRADE_BUSY', `the host is busy with upgrade ${id}`);
}
