// Deltas of the built-in feed. Off the path of a push, the tar inside a tar.gz is digested, its recipe is found and
// proved, and the delta from the version before is made; others are made when a node asks for them.
import { join } from 'node:path';
import { background } from '../../lib/async/background.ts';
import { Mutex } from '../../lib/async/mutex.ts';
import { pause } from '../../lib/async/waiting.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { MOST_BASES, type DeltaBody, type DeltaRequest } from '../../lib/blobs/blob-server.ts';
import type { BlobStore, OpenedBlob } from '../../lib/blobs/blob-store.ts';
import { DigestMeter } from '../../lib/blobs/digest.ts';
import { storedBody } from '../../lib/blobs/stored-body.ts';
import { isWorthwhile, MOST_CONTENT_BYTES, MOST_SHARE } from '../../lib/delta/bounds.ts';
import { contentBytes, streamContent } from '../../lib/delta/content.ts';
import { runDelta } from '../../lib/delta/delta.ts';
import { DeltaCache } from '../../lib/delta/delta-cache.ts';
import { findGzipRecipe } from '../../lib/delta/gzip-recipe.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { DeltaHints } from '../../proto/gen/isthmus/topology/v1/DeltaHints.ts';
import type { TarFacts, VersionContent } from '../store/packages/contents.ts';
import type { Store } from '../store/store.ts';

interface FeedDeltasDeps {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly log: Logger;
}

/** After each package of an earlier version of the server, in multiples of the time that it took. */
const REST = 9;

export class FeedDeltas {
  readonly #deps: FeedDeltasDeps;
  readonly #cache: DeltaCache;
  /** One package at a time, so that deployments keep a processor. */
  readonly #examining = new Mutex();
  readonly #stopping = new AbortController();

  private constructor(deps: FeedDeltasDeps, cache: DeltaCache) {
    this.#deps = deps;
    this.#cache = cache;
  }

  /** Opens the patches beside the packages, and begins to examine, slowly, what is not examined yet. */
  static async open(deps: FeedDeltasDeps): Promise<FeedDeltas> {
    const deltas = new FeedDeltas(deps, await DeltaCache.open(join(deps.blobs.folder, 'deltas'), deps.log));
    const old = await deps.store.contents.unexamined();
    background('feed.examine', deps.log, () => deltas.#examineOld(old));
    return deltas;
  }

  /** Examines a pushed package, and makes the delta that its first deployments will ask for. */
  pushed(sha256: string): void {
    const examined = this.#run(async () => {
      const { contents } = this.#deps.store;
      if ((await contents.find(sha256))?.isTarGz === true) await this.#examine(sha256);
      const target = await contents.find(sha256);
      if (target === undefined) return;
      const [before] = await this.#basesOf(target);
      if (before !== undefined) await (await this.#obtain(before, target))?.file.close();
    });
    background('feed.examine', this.#deps.log, () => examined);
  }

  /** What nodes need to know of a package for a delta; undefined where none can be made, or not yet. */
  async hints(sha256: string): Promise<DeltaHints | undefined> {
    const target = await this.#deps.store.contents.find(sha256);
    if (target === undefined) return undefined;
    const bases = await this.#basesOf(target);
    if (bases.length === 0) return undefined;
    const { tar } = target;
    const recipe = tar?.recipe ?? null;
    return {
      tarSha256: tar?.sha256 ?? '',
      tarBytes: tar?.sizeBytes ?? 0,
      recipe: recipe === null ? null : { ...recipe, header: Buffer.from(recipe.header, 'base64') },
      bases: bases.map((base) => ({ sha256: base.sha256, tarSha256: base.tar?.sha256 ?? '' })),
    };
  }

  /** A delta from one of the versions that the requester has; undefined where there is none, or it is not worth it. */
  async open({ sha256, inflated, have, bytesPerS }: DeltaRequest<unknown>): Promise<DeltaBody | undefined> {
    const target = await this.#deps.store.contents.find(sha256);
    if (target?.isTarGz !== inflated) return undefined;
    const bases = await this.#basesOf(target);
    const base = have.flatMap((digest) => bases.find((each) => each.sha256 === digest) ?? [])[0];
    if (base === undefined) return undefined;
    const isMade = this.#cache.has({ base: base.sha256, target: sha256, inflated });
    const work = { fileBytes: target.sizeBytes, also: isMade ? undefined : 'encode' } as const;
    if (bytesPerS !== undefined && !isWorthwhile({ ...work, bytesPerS })) return undefined;
    const patch = await this.#obtain(base, target);
    return patch === undefined ? undefined : { ...storedBody(patch), base: base.sha256 };
  }

  /** Ends what is under way; it begins anew with the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort(new IsthmusError('CANCELLED', 'the server is stopping'));
    await this.#examining.idle();
  }

  /** One after the other: what is pushed meanwhile waits for one of them at most. */
  async #examineOld(old: readonly string[]): Promise<void> {
    for (const sha256 of old) {
      if (this.#stopping.signal.aborted) return;
      const beganMs = performance.now();
      await this.#run(() => this.#examine(sha256));
      await pause(REST * (performance.now() - beganMs), this.#stopping.signal);
    }
  }

  /** Does a piece of work when its turn comes; that it fails is logged. */
  #run(work: () => Promise<void>): Promise<void> {
    const { signal } = this.#stopping;
    return this.#examining.run(async () => {
      if (signal.aborted) return;
      await work().catch((err: unknown) => {
        if (!signal.aborted) this.#deps.log.error({ err }, 'a package could not be examined for deltas');
      });
    });
  }

  async #examine(sha256: string): Promise<void> {
    const path = await this.#pathOf(sha256);
    if (path === undefined) return;
    const tar = await this.#inside(path);
    await this.#deps.store.contents.examined(sha256, tar);
    this.#deps.log.info({ sha256, tar: tar?.sha256, recipe: tar?.recipe ?? null }, 'examined a package for deltas');
  }

  async #inside(path: string): Promise<TarFacts | null> {
    const { signal } = this.#stopping;
    const content = { path, inflated: true };
    if ((await contentBytes(content)) > MOST_CONTENT_BYTES) return null;
    const meter = new DigestMeter();
    for await (const chunk of streamContent(content)) {
      signal.throwIfAborted();
      meter.update(chunk);
      if (meter.bytes > MOST_CONTENT_BYTES) return null;
    }
    const recipe = await findGzipRecipe(path, signal);
    return { sha256: meter.sha256(), sizeBytes: meter.bytes, recipe };
  }

  /** The other versions of a package that are here and packed alike, newest first. */
  async #basesOf({ sha256, isTarGz, tar }: VersionContent): Promise<VersionContent[]> {
    if (isTarGz && tar === undefined) return [];
    const others = await this.#deps.store.contents.besides(sha256, MOST_BASES);
    const isBase = (other: VersionContent) =>
      other.isTarGz === isTarGz &&
      (other.tar !== undefined) === isTarGz &&
      this.#deps.blobs.get(other.sha256) !== undefined;
    return others.filter(isBase);
  }

  #obtain(base: VersionContent, target: VersionContent): Promise<OpenedBlob | undefined> {
    const inflated = target.isTarGz;
    return this.#cache.obtain({ base: base.sha256, target: target.sha256, inflated }, async (writer) => {
      const [from, to] = [await this.#pathOf(base.sha256), await this.#pathOf(target.sha256)];
      if (from === undefined || to === undefined) throw new IsthmusError('NOT_FOUND', 'a version has gone meanwhile');
      const mostBytes = MOST_SHARE * target.sizeBytes;
      const contents = { base: { path: from, inflated }, target: { path: to, inflated } };
      await runDelta({ kind: 'encode', ...contents, mostBytes }, (chunk) => writer.write(chunk), this.#stopping.signal);
    });
  }

  /** The path of a blob whose bytes were checked; undefined when it is not here any more. */
  async #pathOf(sha256: string): Promise<string | undefined> {
    const blob = await this.#deps.blobs.open(sha256);
    if (blob === undefined) return undefined;
    await blob.file.close();
    return this.#deps.blobs.pathOf(sha256);
  }
}
