// Hands patches on: from the sources of this mirror, once however many ask, or made of two versions that are here.
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import type { SourceConnection } from '../lib/blobs/blob-client.ts';
import type { BlobGrant, DeltaBody, DeltaRequest } from '../lib/blobs/blob-server.ts';
import { openCached } from '../lib/blobs/cached-blob.ts';
import type { Source } from '../lib/blobs/source.ts';
import type { SourceStates } from '../lib/blobs/source-states.ts';
import { storedBody } from '../lib/blobs/stored-body.ts';
import { isWorthwhile, MOST_SHARE } from '../lib/delta/bounds.ts';
import type { Content } from '../lib/delta/content.ts';
import { runDelta } from '../lib/delta/delta.ts';
import type { DeltaCache, MakePatch } from '../lib/delta/delta-cache.ts';
import { receivePatch } from '../lib/delta/fetch-delta.ts';
import { IsthmusError } from '../contract/errors.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { FindSources } from '../node/sources/find.ts';

export interface MirrorDeltasDeps {
  readonly cache: DeltaCache;
  readonly blobs: BlobStore;
  readonly find: FindSources;
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly states: Pick<SourceStates, 'order'>;
  readonly log: Logger;
}

export class MirrorDeltas {
  readonly #deps: MirrorDeltasDeps;
  readonly #stopping = new AbortController();

  constructor(deps: MirrorDeltasDeps) {
    this.#deps = deps;
  }

  /**
   * A patch to a package; undefined where neither this mirror nor its source has one, or where the whole package, which
   * is here, is sent sooner. Targets are near: that is known to be otherwise only of a line that was measured.
   */
  async open(request: DeltaRequest<unknown>, { sizeBytes }: BlobGrant): Promise<DeltaBody | undefined> {
    const { sha256: target, inflated, have, bytesPerS = Infinity } = request;
    const { blobs, cache } = this.#deps;
    const pairOf = (base: string) => ({ base, target, inflated });
    const made = have.find((base) => cache.has(pairOf(base)));
    const isHere = blobs.get(target) !== undefined;
    const also = made === undefined ? 'encode' : undefined;
    if (isHere && !isWorthwhile({ fileBytes: sizeBytes, bytesPerS, also })) return undefined;
    const here = isHere ? have.find((digest) => blobs.get(digest) !== undefined) : undefined;
    const base = made ?? here ?? have[0]!;
    const make: MakePatch =
      here === undefined
        ? (writer) => this.#receive(request, { base, sizeBytes }, writer)
        : (writer) => this.#encode({ base, target, inflated, sizeBytes }, writer);
    const patch = await cache.obtain(pairOf(base), make);
    return patch === undefined ? undefined : { ...storedBody(patch), base };
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopping.abort(new IsthmusError('CANCELLED', 'the mirror is stopping'));
  }

  async #encode({ base, target, inflated, sizeBytes }: Encoding, writer: Parameters<MakePatch>[0]): Promise<void> {
    const [from, to] = [await this.#content(base, inflated), await this.#content(target, inflated)];
    const job = { kind: 'encode', base: from, target: to, mostBytes: MOST_SHARE * sizeBytes } as const;
    await runDelta(job, (chunk) => writer.write(chunk), this.#stopping.signal);
  }

  async #content(sha256: string, inflated: boolean): Promise<Content> {
    const { blobs, log } = this.#deps;
    const opened = await openCached(blobs, sha256, log);
    if (opened === undefined) throw new IsthmusError('NOT_FOUND', `${sha256} has gone meanwhile`);
    await opened.file.close();
    return { path: blobs.pathOf(sha256), inflated };
  }

  async #receive(
    { sha256, inflated, downloadToken: token }: DeltaRequest<unknown>,
    { base, sizeBytes }: { readonly base: string; readonly sizeBytes: number },
    writer: Parameters<MakePatch>[0],
  ): Promise<void> {
    const { find, states, connect } = this.#deps;
    const { sources, downloadToken } = await find(sha256, token);
    const source = states.order(sources)[0];
    if (source?.kind !== 'mesh') throw new IsthmusError('NOT_FOUND', 'the nearest source has no deltas');
    const { signal } = this.#stopping;
    const fetch = { file: { sha256, sizeBytes }, inflated, downloadToken, connect, signal };
    await receivePatch(fetch, source, [base], writer);
  }
}

interface Encoding {
  readonly base: string;
  readonly target: string;
  readonly inflated: boolean;
  readonly sizeBytes: number;
}
