// A mirror's cache: complete packages are served from disk, others are pulled through, one fetch at a time per digest.
//   pull.ts      one fetch and its followers          space.ts    quota, free space, eviction
//   through.ts   a fetch without room in the cache    throttle.ts  fetches that nobody waits for
//   uses.ts      what is evicted first                protection.ts  pins and leases
//   scrub.ts     digests all, repairs                 counters.ts    what it has done for its site
//   saved-state.ts  what is kept of these             node/sources/find.ts  the sources of a digest
import { setImmediate as nextTurn } from 'node:timers/promises';
import { background } from '../lib/async/background.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import {
  askForBlob,
  askForPiece,
  type BlobAnswer,
  type SourceConnection,
  type Warming as Rate,
} from '../lib/blobs/blob-client.ts';
import type { BlobBody } from '../lib/blobs/blob-pump.ts';
import type { BlobStore, OpenedBlob, StoredBlob } from '../lib/blobs/blob-store.ts';
import type { BlobInfo, BlobWriter } from '../lib/blobs/blob-writer.ts';
import { openCached } from '../lib/blobs/cached-blob.ts';
import { fetchBlob, type FetchTarget, type OnSlowSource, type OnWrongSource } from '../lib/blobs/fetch.ts';
import { STALL_MS, type Floors } from '../lib/blobs/progress-floor.ts';
import { nameOf, type Source } from '../lib/blobs/source.ts';
import type { SourceStates } from '../lib/blobs/source-states.ts';
import { storedBody } from '../lib/blobs/stored-body.ts';
import { pause, pauseUntil, unlessAborted } from '../lib/async/waiting.ts';
import { readDeltaHints } from '../lib/delta/hints.ts';
import { pullByDelta } from './pull-by-delta.ts';
import { Throttle } from './throttle.ts';
import { Pull } from './pull.ts';
import type { FindSources, FoundSources } from '../node/sources/find.ts';
import { Counters, type Counts } from './counters.ts';
import { Protection } from './protection.ts';
import type { CacheState } from './saved-state.ts';
import { Space, type Evicted, type SpaceLimits } from './space.ts';
import { Uses } from './uses.ts';

export interface CacheDeps {
  readonly blobs: BlobStore;
  readonly find: FindSources;
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly states: SourceStates;
  readonly limits: SpaceLimits;
  readonly log: Logger;
  readonly onWrongSource: OnWrongSource;
  readonly onSlowSource?: OnSlowSource | undefined;
  readonly floors?: Floors | undefined;
  readonly stallMs?: number | undefined;
  /** Bytes that others keep beside the packages. */
  readonly otherBytes?: () => number;
  /** What was saved of an earlier run. */
  readonly saved?: Partial<CacheState>;
}

export interface WantedBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The token of the requesting node. */
  readonly downloadToken: string;
}

export interface CachedBlob extends StoredBlob {
  /** How often it was requested. */
  readonly uses: number;
  readonly pinned: boolean;
  readonly leased: boolean;
}

/** How a package is fetched that nobody waits for. */
export interface Warming {
  /** 0 for no limit. */
  readonly maxBytesPerS: number;
  /** Ends the fetch, unless a requester or another call waits for it. */
  readonly signal: AbortSignal;
  readonly onProgress: (receivedBytes: number) => void;
}

export interface CacheUsage {
  readonly packages: number;
  readonly packageBytes: number;
  /** Of interrupted and running fetches. */
  readonly partialBytes: number;
  readonly fetching: number;
}

interface RunningPull {
  readonly begun: Promise<Pull>;
  readonly throttle: Throttle;
  readonly cancel: AbortController;
  /** Aborted when it has ended, however. */
  readonly ended: AbortController;
  /** Calls to `warm` that wait for it. */
  warmers: number;
  /** Somebody else waits for it, so that it goes on when they leave. */
  isRequested: boolean;
}

/** Why a fetch is joined: for a requester that waits, for what comes at any rate, or to warm until its caller leaves. */
type Purpose = 'request' | 'background' | 'warm';

/** Between two reports of progress. */
const PROGRESS_EVERY_MS = 500;

/** Each has its own connection to a source. */
const MOST_PULLS = 64;

export class MirrorCache {
  readonly #deps: CacheDeps;
  readonly #space: Space;
  readonly #uses: Uses;
  readonly #counters: Counters;
  /** What it keeps. */
  readonly protection: Protection;
  readonly #pulls = new Map<string, RunningPull>();
  readonly #runs = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(deps: CacheDeps) {
    this.#deps = deps;
    const { blobs, limits, log, otherBytes = () => 0, saved = {} } = deps;
    this.#uses = new Uses(saved.uses);
    this.#counters = new Counters(saved.counts);
    this.protection = new Protection(saved.pins);
    this.#space = new Space({
      ...{ blobs, limits, log, otherBytes, uses: this.#uses, protection: this.protection },
      onEvicted: (_evicted, reason) => (this.#counters.counts.evictions[reason] += 1),
    });
  }

  /** Bytes of complete packages. */
  get cachedBytes(): number {
    return this.#deps.blobs.usedBytes;
  }

  get counts(): Readonly<Counts> {
    return this.#counters.counts;
  }

  /** Whether the last package had no room although all was evicted that may be. */
  get isFull(): boolean {
    return this.#space.isFull;
  }

  /** What to keep over a restart. */
  state(): CacheState {
    const uses = this.#uses.saved((sha256) => this.sizeOf(sha256) !== undefined);
    return { uses, counts: this.#counters.counts, pins: this.protection.pins };
  }

  /** Removes what need not stay (space.ts); with `dryRun`, says what that would be. */
  collect(options: { readonly dryRun: boolean }): Promise<Evicted[]> {
    return this.#space.collect(options);
  }

  /** Takes a package out of the cache whose bytes have changed on the disk. */
  async putAside(sha256: string): Promise<void> {
    this.#counters.counts.damaged += 1;
    await this.#deps.blobs.putAside(sha256);
  }

  /** Fetches a package again that was put aside; whether it is whole now. */
  async repair(blob: BlobInfo): Promise<boolean> {
    const unhold = this.#space.hold(blob.sha256);
    try {
      // Without a requester the mirror has a download token of its own, from the server.
      const { begun, ended } = await this.#join({ ...blob, downloadToken: '' }, 'background');
      await begun;
      await pauseUntil(() => () => undefined, { signals: [ended.signal] });
    } catch (err) {
      this.#deps.log.warn({ err, sha256: blob.sha256 }, 'a damaged package could not be fetched again');
    } finally {
      unhold();
    }
    const isWhole = this.sizeOf(blob.sha256) !== undefined;
    if (isWhole) this.#counters.counts.repaired += 1;
    return isWhole;
  }

  sizeOf(sha256: string): number | undefined {
    return this.#deps.blobs.get(sha256)?.sizeBytes;
  }

  /**
   * Opens a blob: from disk, or following its fetch, which starts unless it is running. With `rate` nobody waits for it:
   * a mirror below warms.
   */
  async open(wanted: WantedBlob, rate?: Rate): Promise<BlobBody> {
    const { sha256 } = wanted;
    const sinceMs = performance.now();
    const { counts } = this.#counters;
    const unhold = this.#space.hold(sha256);
    this.#uses.used(sha256);
    try {
      for (;;) {
        const stored = await this.#openStored(sha256);
        if (stored !== undefined) {
          counts.hits += 1;
          return this.#counters.served(storedBody(stored, unhold), sinceMs);
        }
        const before = this.#pulls.get(sha256);
        const running = await this.#join(wanted, rate === undefined ? 'request' : 'background', rate?.maxBytesPerS);
        const body = await (await running.begun).follow();
        if (body !== undefined) {
          counts[running === before ? 'sharedFetches' : 'fetches'] += 1;
          return this.#counters.served(following(body, unhold), sinceMs);
        }
        // The fetch ended between the two checks: the blob is on disk by now, or a new fetch starts after that run.
        await nextTurn();
      }
    } catch (thrown) {
      unhold();
      throw thrown;
    }
  }

  /** What the cache has: all of it, or only these digests. */
  list(only?: readonly string[]): readonly CachedBlob[] {
    const { blobs } = this.#deps;
    const found =
      only === undefined ? blobs.list() : only.map((sha256) => blobs.get(sha256)).filter((blob) => blob !== undefined);
    return found.map((blob) => ({
      ...{ ...blob, uses: this.#uses.count(blob.sha256) },
      pinned: this.protection.isPinned(blob.sha256),
      leased: this.protection.isLeased(blob.sha256),
    }));
  }

  /** What lies in the cache, in bytes, and how many packages are being fetched. */
  async usage(): Promise<CacheUsage> {
    const { blobs } = this.#deps;
    const partials = await blobs.partials();
    const receiving = await Promise.allSettled([...this.#pulls.values()].map(({ begun }) => begun));
    const received = receiving.map((each) => (each.status === 'fulfilled' ? each.value.bytes : 0));
    return {
      packages: blobs.list().length,
      packageBytes: blobs.usedBytes,
      partialBytes: partials.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) + received.reduce((a, b) => a + b, 0),
      fetching: this.#pulls.size,
    };
  }

  /**
   * Has a package in the cache, and says whether it was there. Others' fetches go first: while one runs, this one takes
   * a trickle. DISK_FULL when there is no room, PACKAGE_UNAVAILABLE, CANCELLED once the signal aborts.
   */
  async warm(wanted: WantedBlob, { maxBytesPerS, signal, onProgress }: Warming): Promise<{ readonly cached: boolean }> {
    const unhold = this.#space.hold(wanted.sha256);
    try {
      for (let cached = true; ; cached = false) {
        signal.throwIfAborted();
        const stored = await this.#openStored(wanted.sha256);
        await stored?.file.close();
        if (stored !== undefined) return { cached };
        // As good as requested: it would be the first to be evicted otherwise.
        if (cached) this.#uses.used(wanted.sha256);
        await this.#warmOnce(await this.#join(wanted, 'warm', maxBytesPerS), signal, onProgress);
        await nextTurn();
      }
    } finally {
      unhold();
    }
  }

  /** Opens a whole package; one that was changed on the disk is put aside. */
  #openStored(sha256: string): Promise<OpenedBlob | undefined> {
    const { blobs, log } = this.#deps;
    return openCached(blobs, sha256, log, (damaged) => this.putAside(damaged));
  }

  async #warmOnce(running: RunningPull, signal: AbortSignal, onProgress: Warming['onProgress']): Promise<void> {
    try {
      const pull = await unlessAborted(running.begun, [signal]);
      while (!running.ended.signal.aborted) {
        signal.throwIfAborted();
        onProgress(pull.bytes);
        await pause(PROGRESS_EVERY_MS, signal, running.ended.signal);
      }
      if (pull.uncached !== undefined) throw new IsthmusError('DISK_FULL', 'the cache has no room for this package');
      pull.assertNotFailed();
    } finally {
      running.warmers -= 1;
      if (signal.aborted && running.warmers === 0 && !running.isRequested) {
        running.cancel.abort(new IsthmusError('CANCELLED', 'nobody waits for this package any more'));
      }
    }
  }

  /** Ends every fetch. The bytes received stay for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new IsthmusError('CANCELLED', 'the mirror is stopping'));
    this.#deps.states.stop();
    await Promise.allSettled([...this.#pulls.values()].map(({ begun }) => begun));
    await Promise.allSettled([...this.#runs]);
  }

  /** Joins the fetch of a package. One that was cancelled ends first, and another begins. */
  async #join(wanted: WantedBlob, purpose: Purpose, maxBytesPerS?: number): Promise<RunningPull> {
    for (;;) {
      const pulling = this.#pulls.get(wanted.sha256);
      if (pulling?.cancel.signal.aborted !== true) break;
      await pauseUntil(() => () => undefined, { signals: [pulling.ended.signal] });
    }
    const running = this.#pullOf(wanted, maxBytesPerS);
    if (purpose === 'warm') running.warmers += 1;
    else running.isRequested = true;
    if (purpose === 'request') running.throttle.lift();
    return running;
  }

  /** The fetch of a package, which begins unless it is running; at this rate until somebody waits for it. */
  #pullOf(wanted: WantedBlob, maxBytesPerS = 0): RunningPull {
    const { sha256 } = wanted;
    const pulling = this.#pulls.get(sha256);
    if (pulling !== undefined) return pulling;
    if (this.#pulls.size >= MOST_PULLS) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `${MOST_PULLS} packages are being fetched already`);
    }
    const throttle = new Throttle({ maxBytesPerS, yields: () => this.#isAwaited() });
    const [cancel, ended] = [new AbortController(), new AbortController()];
    ended.signal.addEventListener('abort', () => this.#pulls.delete(sha256), { once: true });
    const begun = this.#begin(wanted, throttle, cancel.signal, ended);
    begun.catch(() => ended.abort());
    const running = { begun, throttle, cancel, ended, warmers: 0, isRequested: false };
    this.#pulls.set(sha256, running);
    return running;
  }

  /** Whether a fetch runs that a requester waits for. */
  #isAwaited(): boolean {
    return [...this.#pulls.values()].some(({ throttle }) => throttle.isLifted);
  }

  async #begin(
    { sha256, sizeBytes, downloadToken }: WantedBlob,
    throttle: Throttle,
    cancelled: AbortSignal,
    ended: AbortController,
  ): Promise<Pull> {
    const { find, connect, states, log, onWrongSource, onSlowSource, floors, stallMs = STALL_MS } = this.#deps;
    const found = await find(sha256, downloadToken);
    const request = { sha256, downloadToken: found.downloadToken };
    const extent = () => ({ pins: throttle.isLifted || this.protection.isLeased(sha256) });
    const hasRoom = await this.#space.reserve({ sha256, sizeBytes }, extent());
    if (!hasRoom) log.warn({ sha256, sizeBytes }, 'no room for this package; it is passed on uncached');
    const writer = hasRoom ? await this.#openWriter({ sha256, sizeBytes }) : undefined;
    if (writer === undefined) this.#counters.counts.uncached += 1;
    const fetchInto = async (target: FetchTarget, follower: AbortSignal) => {
      const signal = AbortSignal.any([follower, cancelled, this.#stopping.signal]);
      const file = { sha256, sizeBytes };
      if (hasRoom && (await this.#pullByDelta(file, found, target, signal))) return;
      const { from, failed } = await fetchBlob({
        ...{
          sha256,
          sizeBytes,
          sources: found.sources,
          target: throttle.of(target, signal),
          states,
        },
        ...{ onWrongSource, onSlowSource, floors },
        open: (source, fromByte, aborted) => this.#ask(source, { ...request, sizeBytes, fromByte }, throttle, aborted),
        probe: (source, piece, aborted) =>
          askForPiece(() => connect(source, aborted), { ...request, ...piece, signal: aborted, stallMs }),
        signal,
      });
      log.info({ sha256, sizeBytes, from, failed }, 'fetched a package');
    };
    const makeRoom = () => this.#space.evictOne('write', extent());
    const pull = new Pull({ sizeBytes, fetchInto, makeRoom }, writer);
    const unhold = this.#space.hold(sha256);
    const run = pull.run(this.#stopping.signal).finally(() => {
      unhold();
      this.#space.unreserve(sha256);
      this.#runs.delete(run);
      ended.abort();
    });
    this.#runs.add(run);
    background('mirror.pull', log, () => run);
    return pull;
  }

  #pullByDelta(file: BlobInfo, found: FoundSources, target: FetchTarget, signal: AbortSignal): Promise<boolean> {
    const hints = readDeltaHints(found.delta ?? null, file);
    if (hints === undefined) return Promise.resolve(false);
    const { blobs, states, log, floors, stallMs } = this.#deps;
    const { sources, downloadToken } = found;
    const connect = this.#deps.connect;
    return pullByDelta(target, {
      ...{ file, hints, sources, downloadToken, states, connect, blobs, log, signal, floors, stallMs },
    });
  }

  /** Undefined when the disk takes nothing: the package is then passed on uncached. */
  async #openWriter(blob: BlobInfo): Promise<BlobWriter | undefined> {
    try {
      return await this.#deps.blobs.resume(blob);
    } catch (err) {
      this.#deps.log.error({ err, sha256: blob.sha256 }, 'this package cannot be cached; it is passed on uncached');
      return undefined;
    }
  }

  async #ask(source: Source, request: Asked, throttle: Throttle, signal: AbortSignal): Promise<BlobAnswer> {
    const { connect, log, stallMs = STALL_MS } = this.#deps;
    const { sha256, fromByte } = request;
    log.info({ sha256, from: nameOf(source), fromByte }, 'fetching a package');
    const warming = throttle.isLifted ? undefined : { maxBytesPerS: throttle.maxBytesPerS };
    const answer = await askForBlob(await connect(source, signal), { ...request, signal, stallMs, warming });
    // Only a mirror keeps to a rate.
    const isMirror = answer.sourceClass === 'passed on';
    if (warming !== undefined && isMirror) throttle.onLift(() => this.#liftAbove(source, request, signal));
    return { ...answer, body: this.#counters.received(answer.body) };
  }

  /** Somebody waits by now: whoever asks a mirror above for the last byte lifts its throttle, too. */
  #liftAbove(source: Source, request: Asked, signal: AbortSignal): void {
    const { connect, log, stallMs = STALL_MS } = this.#deps;
    background('mirror.lift', log, async () => {
      const last = { ...request, fromByte: request.sizeBytes - 1, signal, stallMs };
      (await askForBlob(await connect(source, signal), last)).close();
    });
  }
}

interface Asked {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly fromByte: number;
  readonly downloadToken: string;
}

function following(body: BlobBody, unhold: () => void): BlobBody {
  return {
    sizeBytes: body.sizeBytes,
    isGrowing: body.isGrowing,
    read: (position, buffer) => body.read(position, buffer),
    close: () => body.close().finally(unhold),
  };
}
