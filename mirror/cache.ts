// A mirror's cache: complete packages are served from disk, others are pulled through, one fetch at a time per digest.
//   pull.ts      one fetch and its followers          space.ts    quota, free space, eviction
//   through.ts   a fetch without room in the cache    node/sources/find.ts  the sources of a digest
import { setImmediate as nextTurn } from 'node:timers/promises';
import { background } from '../lib/async/background.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { askForBlob, type SourceConnection } from '../lib/blobs/blob-client.ts';
import type { BlobBody } from '../lib/blobs/blob-pump.ts';
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import type { BlobInfo, BlobWriter } from '../lib/blobs/blob-writer.ts';
import { openCached } from '../lib/blobs/cached-blob.ts';
import {
  Demotions,
  fetchBlob,
  type FetchTarget,
  type OnSlowSource,
  type OnWrongSource,
  type Source,
} from '../lib/blobs/fetch.ts';
import { STALL_MS, type Floors } from '../lib/blobs/progress-floor.ts';
import { storedBody } from '../lib/blobs/stored-body.ts';
import { Pull } from './pull.ts';
import type { FindSources } from '../node/sources/find.ts';
import { Space, type SpaceLimits } from './space.ts';

export interface CacheDeps {
  readonly blobs: BlobStore;
  readonly find: FindSources;
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly limits: SpaceLimits;
  readonly log: Logger;
  readonly onWrongSource: OnWrongSource;
  readonly onSlowSource?: OnSlowSource | undefined;
  readonly floors?: Floors | undefined;
  readonly stallMs?: number | undefined;
}

export interface WantedBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** The token of the requesting node. */
  readonly downloadToken: string;
}

/** Each has its own connection to a source. */
const MOST_PULLS = 64;

export class MirrorCache {
  readonly #deps: CacheDeps;
  readonly #space: Space;
  readonly #demotions = new Demotions();
  readonly #pulls = new Map<string, Promise<Pull>>();
  readonly #runs = new Set<Promise<void>>();
  readonly #stopping = new AbortController();

  constructor(deps: CacheDeps) {
    this.#deps = deps;
    this.#space = new Space(deps.blobs, deps.limits, deps.log);
  }

  /** Bytes of complete packages. */
  get cachedBytes(): number {
    return this.#deps.blobs.usedBytes;
  }

  sizeOf(sha256: string): number | undefined {
    return this.#deps.blobs.get(sha256)?.sizeBytes;
  }

  /** Opens a blob: from disk, or following its fetch, which starts unless it is running. */
  async open(wanted: WantedBlob): Promise<BlobBody> {
    const { sha256 } = wanted;
    const unhold = this.#space.hold(sha256);
    try {
      for (;;) {
        const stored = await openCached(this.#deps.blobs, sha256, this.#deps.log);
        if (stored !== undefined) return storedBody(stored, unhold);
        const body = await (await this.#pullOf(wanted)).follow();
        if (body !== undefined) return following(body, unhold);
        // The fetch ended between the two checks: the blob is on disk by now, or a new fetch starts after that run.
        await nextTurn();
      }
    } catch (thrown) {
      unhold();
      throw thrown;
    }
  }

  /** Ends every fetch. The bytes received stay for the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new IsthmusError('CANCELLED', 'the mirror is stopping'));
    await Promise.allSettled([...this.#pulls.values()]);
    await Promise.allSettled([...this.#runs]);
  }

  #pullOf(wanted: WantedBlob): Promise<Pull> {
    const { sha256 } = wanted;
    const pulling = this.#pulls.get(sha256);
    if (pulling !== undefined) return pulling;
    if (this.#pulls.size >= MOST_PULLS) {
      return Promise.reject(new IsthmusError('RESOURCE_EXHAUSTED', `${MOST_PULLS} packages are being fetched already`));
    }
    const begun = this.#begin(wanted);
    this.#pulls.set(sha256, begun);
    begun.catch(() => this.#pulls.delete(sha256));
    return begun;
  }

  async #begin({ sha256, sizeBytes, downloadToken }: WantedBlob): Promise<Pull> {
    const { find, log, onWrongSource, onSlowSource, floors } = this.#deps;
    const found = await find(sha256, downloadToken);
    const hasRoom = await this.#space.reserve(sha256, sizeBytes);
    if (!hasRoom) log.warn({ sha256, sizeBytes }, 'no room for this package; it is passed on uncached');
    const writer = hasRoom ? await this.#openWriter({ sha256, sizeBytes }) : undefined;
    const fetchInto = (target: FetchTarget, signal: AbortSignal) =>
      fetchBlob({
        ...{ sha256, sizeBytes, sources: found.sources, target, demotions: this.#demotions },
        ...{ onWrongSource, onSlowSource, floors },
        open: (source, fromByte, aborted) =>
          this.#ask(source, { sha256, fromByte, downloadToken: found.downloadToken }, aborted),
        signal: AbortSignal.any([signal, this.#stopping.signal]),
      }).then(({ from, failed }) => log.info({ sha256, sizeBytes, from, failed }, 'fetched a package'));
    const pull = new Pull({ sizeBytes, fetchInto, makeRoom: () => this.#space.evictOne() }, writer);
    const unhold = this.#space.hold(sha256);
    const run = pull.run(this.#stopping.signal).finally(() => {
      unhold();
      this.#space.unreserve(sha256);
      this.#pulls.delete(sha256);
      this.#runs.delete(run);
    });
    this.#runs.add(run);
    background('mirror.pull', log, () => run);
    return pull;
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

  async #ask(
    source: Source,
    request: { sha256: string; fromByte: number; downloadToken: string },
    signal: AbortSignal,
  ) {
    const { connect, log, stallMs = STALL_MS } = this.#deps;
    log.info({ sha256: request.sha256, from: source.node, fromByte: request.fromByte }, 'fetching a package');
    return askForBlob(await connect(source, signal), { ...request, signal, stallMs });
  }
}

function following(body: BlobBody, unhold: () => void): BlobBody {
  return {
    sizeBytes: body.sizeBytes,
    isGrowing: body.isGrowing,
    read: (position, buffer) => body.read(position, buffer),
    close: () => body.close().finally(unhold),
  };
}
