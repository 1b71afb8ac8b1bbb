// Acquires packages into the tentacle's cache: from the nearest source that works, resuming where the last one stopped,
// also after a restart. A package counts as cached only when size and digest are right. Whoever wants to can follow the
// bytes while they arrive.
import { IsthmusError } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { askForBlob, askForPiece, type SourceConnection } from '../../lib/blobs/blob-client.ts';
import type { BlobStore } from '../../lib/blobs/blob-store.ts';
import { openCached } from '../../lib/blobs/cached-blob.ts';
import { freeBytes } from '../../lib/files/disk-space.ts';
import { fetchBlob, type FailedSource, type OnSlowSource, type OnWrongSource } from '../../lib/blobs/fetch.ts';
import { GrowingFile } from '../../lib/blobs/growing-file.ts';
import { STALL_MS, type Floors } from '../../lib/blobs/progress-floor.ts';
import { nameOf, type Source } from '../../lib/blobs/source.ts';
import { SourceStates, type SourceState } from '../../lib/blobs/source-states.ts';
import { fetchDelta } from '../../lib/delta/fetch-delta.ts';
import type { PackageOrder } from './payload.ts';
import { SharedWork, type Caller } from './shared-work.ts';
import type { Tars } from './tars.ts';

export interface AcquireDeps {
  readonly blobs: BlobStore;
  readonly tars: Tars;
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
type Wanted = Pick<
  PackageOrder,
  'id' | 'version' | 'sha256' | 'sizeBytes' | 'unpackedBytes' | 'sources' | 'downloadToken' | 'delta'
>;

/** What is told of a download: the file at once, how far it is with the bytes. */
interface Download {
  readonly file: GrowingFile;
  readonly progress?: AcquireProgress;
}

interface AcquireCaller extends Caller<AcquireProgress> {
  /** Called with the file that is received, unless the package is in the cache. */
  readonly onArriving?: (file: GrowingFile) => void;
}

/** Enough for the logs. */
export const DEFAULT_RESERVE_BYTES = 32 * 1024 * 1024;
/** Interrupted downloads kept for a resume; the oldest are removed first. */
const KEPT_PARTIALS = 4;

export class Acquirer {
  readonly #deps: AcquireDeps;
  readonly #states: SourceStates;
  readonly #downloads = new SharedWork<Download, AcquireProgress>();

  constructor(deps: AcquireDeps) {
    this.#deps = deps;
    this.#states = new SourceStates(deps);
  }

  /** Makes sure that the package is in the cache. Concurrent calls for one digest share one download. */
  async acquire(order: Wanted, caller: AcquireCaller): Promise<AcquireProgress> {
    const { sha256 } = order;
    // Only what has the right bytes counts as cached.
    const stored = this.#deps.tars.stored(sha256);
    await (await openCached(this.#deps.blobs, stored?.sha256 ?? sha256, this.#deps.log))?.file.close();
    const here = this.cached(order);
    if (here !== undefined) return here;
    let isFollowed = false;
    const onProgress = ({ file, progress }: Download): void => {
      if (!isFollowed) caller.onArriving?.(file);
      isFollowed = true;
      if (progress !== undefined) caller.onProgress(progress);
    };
    const { signal } = caller;
    return this.#downloads.join(sha256, { onProgress, signal }, (tell, given) => this.#fetch(order, tell, given));
  }

  /** Ends every download. The bytes received stay on disk. */
  async stop(): Promise<void> {
    this.#states.stop();
    await this.#downloads.endAll(new IsthmusError('CANCELLED', 'the tentacle is stopping'));
  }

  /** What this machine has seen of its sources. */
  sourceStates(): SourceState[] {
    return this.#states.all();
  }

  /** What there is to tell of a package in the cache. */
  cached(order: Wanted): AcquireProgress | undefined {
    const stored = this.#deps.tars.stored(order.sha256);
    if (stored === undefined) return undefined;
    const sizeBytes = stored.isTar ? order.sizeBytes : this.#deps.blobs.get(stored.sha256)?.sizeBytes;
    if (sizeBytes !== order.sizeBytes) {
      const what = `${order.id} ${order.version} has ${sizeBytes} bytes, the release pins ${order.sizeBytes}`;
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', what);
    }
    return { receivedBytes: sizeBytes, totalBytes: sizeBytes, from: '', done: true, cached: true, failed: [] };
  }

  async #fetch(order: Wanted, tell: (download: Download) => void, signal: AbortSignal): Promise<AcquireProgress> {
    const { blobs, connect, log, onWrongSource, onSlowSource, floors, stallMs = STALL_MS } = this.#deps;
    const { sha256, sizeBytes: totalBytes, unpackedBytes, downloadToken, sources } = order;
    await this.#dropOldPartials(sha256);
    const byDelta = await this.#byDelta(order, signal);
    if (byDelta !== undefined) return byDelta;
    const file = new GrowingFile(await blobs.resume({ sha256, sizeBytes: totalBytes }), { sizeBytes: totalBytes });
    try {
      await this.#assertRoom(totalBytes - file.bytes, unpackedBytes ?? 0);
      tell({ file });
      const { from, failed } = await fetchBlob({
        ...{ sha256, sizeBytes: totalBytes, sources, target: file, states: this.#states, signal },
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
        probe: (source, piece, aborted) =>
          askForPiece(() => connect(source, aborted), { sha256, downloadToken, ...piece, signal: aborted, stallMs }),
        onProgress: ({ bytes, from: node }) => {
          const progress = { receivedBytes: bytes, totalBytes, from: node, done: false, cached: false, failed: [] };
          tell({ file, progress });
        },
      });
      return { receivedBytes: totalBytes, totalBytes, from, done: true, cached: false, failed };
    } catch (thrown) {
      await file.close(thrown);
      throw thrown;
    }
  }

  /** Acquires the package as a delta, if it can; a tar.gz then has its tar in the cache. */
  async #byDelta(order: Wanted, signal: AbortSignal): Promise<AcquireProgress | undefined> {
    const { blobs, tars, connect, log, floors, stallMs } = this.#deps;
    const { sha256, sizeBytes, sources, downloadToken, delta: hints, unpackedBytes } = order;
    const isBegun = (await blobs.partials()).some((partial) => partial.sha256 === sha256 && partial.sizeBytes > 0);
    if (hints === undefined || isBegun) return undefined;
    await this.#assertRoom(hints.content.sizeBytes, unpackedBytes ?? 0);
    const fetched = await fetchDelta({
      ...{ file: { sha256, sizeBytes }, hints, sources, downloadToken, states: this.#states, connect, blobs },
      ...{ repacks: false, log, signal, floors, stallMs },
    });
    if (fetched === undefined) return undefined;
    if (hints.inflated) tars.add(sha256, hints.content.sha256);
    const { from } = fetched;
    return { receivedBytes: sizeBytes, totalBytes: sizeBytes, from, done: true, cached: false, failed: [] };
  }

  async #assertRoom(missingBytes: number, unpackedBytes: number): Promise<void> {
    if (missingBytes === 0) return;
    const free = await freeBytes(this.#deps.blobs.folder);
    if (free - missingBytes - unpackedBytes >= (this.#deps.reserveBytes ?? DEFAULT_RESERVE_BYTES)) return;
    const unpacking = unpackedBytes === 0 ? '' : `, and unpacking it ${unpackedBytes}`;
    const detail = `the download needs ${missingBytes} more bytes${unpacking}; ${free} are free`;
    throw new IsthmusError('DISK_FULL', detail);
  }

  async #dropOldPartials(except: string): Promise<void> {
    const { blobs } = this.#deps;
    const others = (await blobs.partials()).filter(({ sha256 }) => sha256 !== except);
    others.sort((a, b) => b.modifiedAtMs - a.modifiedAtMs);
    for (const { sha256 } of others.slice(KEPT_PARTIALS)) await blobs.dropPartial(sha256);
  }
}
