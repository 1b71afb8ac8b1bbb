// Acquires packages into the tentacle's cache: from the nearest source that works, resuming where the last one stopped,
// also after a restart. A package counts as cached only when size and digest are right.
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { askForBlob, type SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import { openCached } from '../../lib/blobs/cached-blob.ts';
import { freeBytes } from '../../lib/files/disk-space.ts';
import { fetchBlob, type FailedSource, type OnSlowSource, type OnWrongSource } from '../../lib/blobs/fetch.ts';
import { STALL_MS, type Floors } from '../../lib/blobs/progress-floor.ts';
import { nameOf, type Source } from '../../lib/blobs/source.ts';
import { SourceStates, type SourceState } from '../../lib/blobs/source-states.ts';
import type { PackageOrder } from './payload.ts';

export interface AcquireDeps {
  readonly blobs: BlobStore;
  /** A stream to a source's feed; both ends are authenticated. */
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly log: Logger;
  readonly onWrongSource: OnWrongSource;
  readonly onSlowSource?: OnSlowSource | undefined;
  readonly floors?: Floors | undefined;
  /** A source that sends no byte for this long counts as dead. */
  readonly stallMs?: number | undefined;
  /** How often a source that goes last is probed. */
  readonly probeEveryMs?: number | undefined;
  /** How much free disk a download, and unpacking, must leave. */
  readonly reserveBytes?: number | undefined;
}

export interface AcquireProgress {
  readonly receivedBytes: number;
  readonly totalBytes: number;
  readonly from: string;
  readonly done: boolean;
  readonly cached: boolean;
  readonly failed: readonly FailedSource[];
}

/** The part of an order that says what to fetch, and from where. */
type Wanted = Pick<PackageOrder, 'id' | 'version' | 'sha256' | 'sizeBytes' | 'sources' | 'downloadToken'>;

type OnProgress = (progress: AcquireProgress) => void;

interface Running {
  readonly outcome: Promise<AcquireProgress>;
  readonly listeners: Set<OnProgress>;
  readonly stop: AbortController;
}

/** Enough for the logs. */
export const DEFAULT_RESERVE_BYTES = 32 * 1024 * 1024;
/** Interrupted downloads kept for a resume; the oldest are removed first. */
const KEPT_PARTIALS = 4;

export class Acquirer {
  readonly #deps: AcquireDeps;
  readonly #states: SourceStates;
  readonly #running = new Map<string, Running>();

  constructor(deps: AcquireDeps) {
    this.#deps = deps;
    this.#states = new SourceStates(deps);
  }

  /** Makes sure that the package is in the cache. Concurrent calls for one digest share one download. */
  async acquire(order: Wanted, onProgress: OnProgress, signal: AbortSignal): Promise<AcquireProgress> {
    // Only what has the right bytes counts as cached.
    await (await openCached(this.#deps.blobs, order.sha256, this.#deps.log))?.file.close();
    const here = this.cached(order);
    if (here !== undefined) return here;
    const before = this.#running.get(order.sha256);
    if (before?.stop.signal.aborted === true) {
      // That download was abandoned and is ending: resume it once it has.
      await before.outcome.catch(() => undefined);
      return this.acquire(order, onProgress, signal);
    }
    const running = before ?? this.#begin(order);
    running.listeners.add(onProgress);
    try {
      return await Promise.race([running.outcome, whenAborted(signal)]);
    } finally {
      running.listeners.delete(onProgress);
      // The last caller is gone: stop. The bytes received stay on disk for a resume.
      if (running.listeners.size === 0) running.stop.abort(new IsthmusError('CANCELLED', 'no caller waits for it'));
      if (signal.aborted) await running.outcome.catch(() => undefined);
    }
  }

  /** Ends every download. The bytes received stay on disk. */
  async stop(): Promise<void> {
    this.#states.stop();
    const all = [...this.#running.values()];
    for (const { stop } of all) stop.abort(new IsthmusError('CANCELLED', 'the tentacle is stopping'));
    await Promise.allSettled(all.map(({ outcome }) => outcome));
  }

  /** What this machine has seen of its sources. */
  sourceStates(): SourceState[] {
    return this.#states.all();
  }

  /** What there is to tell of a package in the cache. */
  cached(order: Wanted): AcquireProgress | undefined {
    const here = this.#deps.blobs.get(order.sha256);
    if (here === undefined) return undefined;
    const { sizeBytes } = here;
    if (sizeBytes !== order.sizeBytes) {
      const what = `${order.id} ${order.version} has ${sizeBytes} bytes, the release pins ${order.sizeBytes}`;
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', what);
    }
    return { receivedBytes: sizeBytes, totalBytes: sizeBytes, from: '', done: true, cached: true, failed: [] };
  }

  #begin(order: Wanted): Running {
    const listeners = new Set<OnProgress>();
    const stop = new AbortController();
    const notify: OnProgress = (progress) => listeners.forEach((listener) => listener(progress));
    const outcome = this.#fetch(order, notify, stop.signal).finally(() => this.#running.delete(order.sha256));
    outcome.catch(() => undefined);
    const running = { outcome, listeners, stop };
    this.#running.set(order.sha256, running);
    return running;
  }

  async #fetch(order: Wanted, notify: OnProgress, signal: AbortSignal): Promise<AcquireProgress> {
    const { blobs, connect, log, onWrongSource, onSlowSource, floors, stallMs = STALL_MS } = this.#deps;
    const { sha256, sizeBytes: totalBytes, downloadToken, sources } = order;
    await this.#dropOldPartials(sha256);
    const target = await blobs.resume({ sha256, sizeBytes: totalBytes });
    try {
      await this.#assertRoom(totalBytes - target.bytes);
      const { from, failed } = await fetchBlob({
        ...{ sha256, sizeBytes: totalBytes, sources, target, states: this.#states, signal },
        ...{ onWrongSource, onSlowSource, floors },
        open: async (source, fromByte, aborted) => {
          log.info({ package: order.id, version: order.version, from: nameOf(source), fromByte }, 'fetching a package');
          return askForBlob(await connect(source, aborted), {
            sha256,
            downloadToken,
            fromByte,
            signal: aborted,
            stallMs,
          });
        },
        onProgress: ({ bytes, from: node }) =>
          notify({ receivedBytes: bytes, totalBytes, from: node, done: false, cached: false, failed: [] }),
      });
      return { receivedBytes: totalBytes, totalBytes, from, done: true, cached: false, failed };
    } finally {
      await target.close();
    }
  }

  async #assertRoom(missingBytes: number): Promise<void> {
    if (missingBytes === 0) return;
    const free = await freeBytes(this.#deps.blobs.folder);
    if (free - missingBytes >= (this.#deps.reserveBytes ?? DEFAULT_RESERVE_BYTES)) return;
    throw new IsthmusError('DISK_FULL', `the download needs ${missingBytes} more bytes, ${free} are free`);
  }

  async #dropOldPartials(except: string): Promise<void> {
    const { blobs } = this.#deps;
    const others = (await blobs.partials()).filter(({ sha256 }) => sha256 !== except);
    others.sort((a, b) => b.modifiedAtMs - a.modifiedAtMs);
    for (const { sha256 } of others.slice(KEPT_PARTIALS)) await blobs.dropPartial(sha256);
  }
}

function whenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(new IsthmusError('CANCELLED', 'the caller gave up'));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
