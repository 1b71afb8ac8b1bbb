// Fetches a package into the cache as a delta from a version that is there. The file of a tar.gz is packed again by its
// recipe, because a mirror serves files; who has the version before needs only the patch (deltas.ts).
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import type { FetchTarget } from '../lib/blobs/fetch.ts';
import { streamContent } from '../lib/delta/content.ts';
import { fetchDelta, type DeltaFetch } from '../lib/delta/fetch-delta.ts';
import { gzipByRecipe } from '../lib/delta/gzip-recipe.ts';
import type { DeltaHints } from '../lib/delta/hints.ts';
import { IsthmusError } from '../contract/errors.ts';

/** Completes the target; false where the whole package has to be fetched, into a target that is as before. */
export async function pullByDelta(target: FetchTarget, fetch: Omit<DeltaFetch, 'repacks'>): Promise<boolean> {
  const { hints, blobs, file, log, signal } = fetch;
  const { inflated, recipe } = hints;
  if (target.bytes > 0 || (inflated && recipe === undefined)) return false;
  if ((await fetchDelta({ ...fetch, repacks: inflated })) === undefined) return false;
  try {
    for await (const chunk of fileOf(hints, blobs)) {
      signal.throwIfAborted();
      await target.write(chunk);
    }
    await target.commit(file);
    return true;
  } catch (thrown) {
    const { code } = IsthmusError.from(thrown);
    if (code !== 'PACKAGE_HASH_MISMATCH') throw thrown;
    log.warn({ sha256: file.sha256, recipe }, 'the recipe makes another file here; fetching the whole package');
    await target.restart();
    return false;
  } finally {
    if (inflated) await blobs.delete(hints.content.sha256);
  }
}

function fileOf({ content, recipe }: DeltaHints, blobs: BlobStore): AsyncIterable<Buffer> {
  const stored = streamContent({ path: blobs.pathOf(content.sha256), inflated: false });
  return recipe === undefined ? stored : gzipByRecipe(stored, recipe);
}
