// Fetches a package as a delta from a version that is here. What comes out is checked by its pinned digest before it is
// kept; whatever goes wrong, the caller fetches the whole package.
import { withDeadline } from '../async/deadline.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { askForDelta, type DeltaAnswer, type SourceConnection } from '../blobs/blob-client.ts';
import type { BlobStore } from '../blobs/blob-store.ts';
import type { BlobInfo, BlobWriter } from '../blobs/blob-writer.ts';
import { openCached } from '../blobs/cached-blob.ts';
import { FLOORS, ProgressFloor, STALL_MS, TooSlow, type Floors } from '../blobs/progress-floor.ts';
import { nameOf, type Source } from '../blobs/source.ts';
import type { SourceStates } from '../blobs/source-states.ts';
import type { Logger } from '../telemetry/log.ts';
import { isWorthwhile, MOST_SHARE } from './bounds.ts';
import type { Content } from './content.ts';
import { runDelta } from './delta.ts';
import type { DeltaBase, DeltaHints } from './hints.ts';

export interface PatchFetch {
  readonly file: BlobInfo;
  /** Whether the delta leads to what is inside the gzip. */
  readonly inflated: boolean;
  readonly downloadToken: string;
  readonly connect: (source: Source, signal: AbortSignal) => Promise<SourceConnection>;
  readonly signal: AbortSignal;
  readonly floors?: Floors | undefined;
  readonly stallMs?: number | undefined;
  /** Of the line to the source, as far as it was measured. */
  readonly bytesPerS?: number | undefined;
}

export interface DeltaFetch extends Omit<PatchFetch, 'inflated' | 'bytesPerS'> {
  readonly hints: DeltaHints;
  readonly sources: readonly Source[];
  readonly states: Pick<SourceStates, 'order' | 'rateOf'>;
  /** Has the bases, and gets the content. */
  readonly blobs: BlobStore;
  /** Whether the file has to be packed again. */
  readonly repacks: boolean;
  readonly log: Logger;
}

export interface DeltaFetched {
  readonly from: string;
  /** What came in place of the file. */
  readonly patchBytes: number;
}

/** A parent makes a delta within seconds, or is not asked any longer. */
const PATCH_BEGINS_WITHIN_MS = 15_000;

/**
 * Brings the content of the hints into the store; undefined where that is not possible or not worth it, which is logged
 * when anything was wrong. Throws only the reason of the signal.
 */
export async function fetchDelta(fetch: DeltaFetch): Promise<DeltaFetched | undefined> {
  const { file, hints, states, blobs, log, signal } = fetch;
  const source = states.order(fetch.sources)[0];
  const have = hints.bases.filter((base) => contentOf(base, hints, blobs) !== undefined);
  if (have.length === 0 || source?.kind !== 'mesh' || !isWorth(fetch, source)) return undefined;
  const from = nameOf(source);
  try {
    const patch = await blobs.receive();
    try {
      const digests = have.map(({ sha256 }) => sha256);
      const base = await receivePatch(
        { ...fetch, inflated: hints.inflated, bytesPerS: states.rateOf(source) },
        source,
        digests,
        patch,
      );
      await apply(base, patch, fetch);
      const { sha256 } = file;
      log.info({ sha256, from, base, patchBytes: patch.bytes }, 'fetched a package as a delta');
      return { from, patchBytes: patch.bytes };
    } finally {
      await patch.discard();
    }
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = IsthmusError.from(thrown);
    const reason = { sha256: file.sha256, from, code, reason: message };
    if (code === 'NOT_FOUND') log.info(reason, 'there is no delta; fetching the whole package');
    else log.warn(reason, 'a delta failed; fetching the whole package');
    return undefined;
  }
}

/** To pack a file again takes longer than to send it on a fast line; whether the rest pays, the parent decides. */
function isWorth({ file, states, repacks }: DeltaFetch, source: Source): boolean {
  const bytesPerS = states.rateOf(source);
  return !repacks || bytesPerS === undefined || isWorthwhile({ fileBytes: file.sizeBytes, bytesPerS, also: 'repack' });
}

/** Asks a source for a patch, and receives it; returns which version of `have` it leads from. */
export async function receivePatch(
  fetch: PatchFetch,
  source: Source,
  have: readonly string[],
  patch: Pick<BlobWriter, 'write'>,
): Promise<string> {
  const { file, floors = FLOORS } = fetch;
  const answer = await ask(fetch, source, have);
  let slow: TooSlow | undefined;
  const floor = new ProgressFloor(floors[answer.sourceClass], (spell) => {
    slow = new TooSlow(spell);
    answer.close();
  });
  try {
    if (answer.sizeBytes > MOST_SHARE * file.sizeBytes) {
      throw new IsthmusError('RESOURCE_EXHAUSTED', `the patch has ${answer.sizeBytes} bytes`);
    }
    floor.wait();
    for await (const chunk of answer.body) {
      floor.received(chunk.length);
      await patch.write(chunk);
      floor.wait();
    }
    return answer.base;
  } catch (thrown) {
    throw slow ?? thrown;
  } finally {
    floor.stop();
    answer.close();
  }
}

function ask(fetch: PatchFetch, source: Source, have: readonly string[]): Promise<DeltaAnswer> {
  const { file, inflated, connect, downloadToken, bytesPerS, signal: given, stallMs = STALL_MS } = fetch;
  const late = () => new IsthmusError('SOURCE_SLOW', `no delta within ${PATCH_BEGINS_WITHIN_MS} ms`);
  return withDeadline({ ms: PATCH_BEGINS_WITHIN_MS, late, signals: [given] }, async (signal) =>
    askForDelta(await connect(source, signal), {
      ...{ sha256: file.sha256, inflated, have, bytesPerS, downloadToken, signal, stallMs },
    }),
  );
}

/** Commits the content. A base that was changed on the disk is dropped here, as whenever it is opened. */
async function apply(digest: string, patch: BlobWriter, fetch: DeltaFetch): Promise<void> {
  const { hints, blobs, log, signal } = fetch;
  const base = hints.bases.find(({ sha256 }) => sha256 === digest)!;
  const found = contentOf(base, hints, blobs);
  const opened = found && (await openCached(blobs, found.sha256, log));
  if (found === undefined || opened === undefined) {
    throw new IsthmusError('PACKAGE_UNAVAILABLE', `the version ${digest} that the patch leads from is gone`);
  }
  await opened.file.close();
  const target = await blobs.receive();
  try {
    const { sizeBytes: targetBytes } = hints.content;
    const job = { kind: 'decode', base: found.content, patch: patch.path, targetBytes } as const;
    await runDelta(job, (chunk) => target.write(chunk), signal);
    await target.commit(hints.content);
  } finally {
    await target.discard();
  }
}

/** The content of a version that is here, as its tar or as its file. */
function contentOf(
  { sha256, tarSha256 }: DeltaBase,
  { inflated }: DeltaHints,
  blobs: BlobStore,
): { readonly sha256: string; readonly content: Content } | undefined {
  if (tarSha256 !== undefined && blobs.get(tarSha256) !== undefined) {
    return { sha256: tarSha256, content: { path: blobs.pathOf(tarSha256), inflated: false } };
  }
  if (blobs.get(sha256) === undefined) return undefined;
  return { sha256, content: { path: blobs.pathOf(sha256), inflated } };
}
