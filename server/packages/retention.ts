// Retention of the feed: deletes the versions of each package below the highest ones, except those that something uses
// and those that were pushed lately. It deletes one at a time, so that nothing else waits for it.
import type { DeletedItem, Deletion } from '../../contract/deletions.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { attempted } from '../../lib/async/background.ts';
import type { CautiousClock } from '../../lib/async/cautious-clock.ts';
import { pause } from '../../lib/async/waiting.ts';
import { compareVersions } from '../../lib/package-versions.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import { DAY_MS } from '../../lib/time.ts';
import type { DeleteOptions } from '../store/references.ts';
import type { Package } from '../store/packages/packages.ts';
import { deleteVersion, type FeedBytes } from './delete.ts';

/** A fix of an older line is pushed before the release that pins it exists. */
const NEW_FOR_MS = 7 * DAY_MS;
const EVERY_MS = DAY_MS;
const PACKAGES_PER_PAGE = 100;

export interface PruneOptions extends DeleteOptions {
  /** How many versions of each package stay whatever uses them: the highest. */
  readonly keepVersions: number;
}

interface PruneDeps extends FeedBytes {
  /** The age of versions is by it. */
  readonly clock: Pick<CautiousClock, 'now'>;
}

/** Deletes what retention lets go, or with `dryRun` says what that would be. */
export async function pruneVersions(feed: PruneDeps, { keepVersions, ...options }: PruneOptions): Promise<Deletion> {
  const { dryRun = false } = options;
  const deleted: DeletedItem[] = [];
  let freedBytes = 0;
  for await (const entry of surplus(feed, keepVersions)) {
    const deletion = await unlessInUse(deleteVersion(feed, entry, options));
    deleted.push(...(deletion?.deleted ?? []));
    freedBytes += deletion?.freedBytes ?? 0;
  }
  return { dryRun, deleted, freedBytes, unused: [] };
}

/** The versions that are neither among the highest of their package nor new. */
async function* surplus({ store, clock }: PruneDeps, keepVersions: number): AsyncGenerator<Package> {
  let cursor: string | undefined;
  do {
    const { items, next } = await store.packages.list({ limit: PACKAGES_PER_PAGE, cursor });
    for (const versions of items) {
      const lower = versions.toSorted((a, b) => compareVersions(b.version, a.version)).slice(keepVersions);
      yield* lower.filter(({ publishedAt }) => publishedAt < clock.now() - NEW_FOR_MS);
    }
    cursor = next;
  } while (cursor !== undefined);
}

/** Undefined when something uses the version, or it has gone meanwhile. */
async function unlessInUse(deleting: Promise<Deletion>): Promise<Deletion | undefined> {
  try {
    return await deleting;
  } catch (thrown) {
    const { code } = IsthmusError.from(thrown);
    if (code !== 'IN_USE' && code !== 'NOT_FOUND') throw thrown;
    return undefined;
  }
}

interface Schedule {
  readonly feed: {
    prune(options: PruneOptions): Promise<Deletion>;
    dropOrphans(): Promise<void>;
  };
  /** Without it, no version is deleted. */
  readonly keepVersions: number | undefined;
  readonly log: Logger;
}

/** Runs now and then every day. The returned function stops it and waits for the run under way. */
export function startPackageRetention({ feed, keepVersions, log }: Schedule): () => Promise<void> {
  const stopping = new AbortController();
  const run = async (): Promise<void> => {
    if (keepVersions !== undefined) {
      const { deleted, freedBytes } = await feed.prune({ keepVersions, actor: 'system' });
      if (deleted.length > 0) log.info({ versions: deleted.length, freedBytes }, 'deleted versions of packages');
    }
    await feed.dropOrphans();
  };
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await attempted('packages.retention', log, run);
      await pause(EVERY_MS, stopping.signal);
    }
  })();
  return async () => {
    stopping.abort();
    await running;
  };
}
