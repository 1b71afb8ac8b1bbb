// Digests every package of a mirror's cache, once a day and on request. One that was changed on the disk is put aside,
// never served, and fetched again from its source.
import { attempted } from '../lib/async/background.ts';
import { CautiousClock } from '../lib/async/cautious-clock.ts';
import { pause } from '../lib/async/waiting.ts';
import type { BlobStore } from '../lib/blobs/blob-store.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import { DAY_MS } from '../lib/time.ts';
import type { MirrorCache } from './cache.ts';

const EVERY_MS = DAY_MS;
/** Between two packages of the daily run, so that requesters have the disk and the processor in between. */
const PAUSE_MS = 100;
/** How long a damaged file is kept, for those who look for the cause. */
const DAMAGED_KEPT_MS = 7 * DAY_MS;

export interface Scrubbed {
  readonly checked: number;
  /** Those whose bytes had changed, and whether each is whole again. */
  readonly damaged: readonly { readonly sha256: string; readonly repaired: boolean }[];
}

export interface ScrubOptions {
  /** Fetches what is damaged again. */
  readonly repair: boolean;
  readonly pauseMs?: number;
  readonly signal?: AbortSignal;
}

interface ScrubDeps {
  readonly blobs: BlobStore;
  readonly cache: Pick<MirrorCache, 'putAside' | 'repair'>;
}

/** Digests every package that is there when it begins. */
export async function scrub(
  { blobs, cache }: ScrubDeps,
  { repair, pauseMs = 0, signal = new AbortController().signal }: ScrubOptions,
): Promise<Scrubbed> {
  const damaged: { sha256: string; repaired: boolean }[] = [];
  let checked = 0;
  for (const { sha256, sizeBytes } of blobs.list()) {
    if (signal.aborted) break;
    const isSound = await blobs.verify(sha256);
    if (isSound !== undefined) checked += 1;
    if (isSound === false) {
      await cache.putAside(sha256);
      damaged.push({ sha256, repaired: repair && (await cache.repair({ sha256, sizeBytes })) });
    }
    if (pauseMs > 0) await pause(pauseMs, signal);
  }
  return { checked, damaged };
}

/** Scrubs every day, the first time a day after the start. The returned function stops it. */
export function startScrubbing(deps: ScrubDeps, log: Logger): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const clock = new CautiousClock();
  const run = async (): Promise<void> => {
    for (const { sha256, putAsideAtMs } of await deps.blobs.damaged()) {
      if (putAsideAtMs < clock.now() - DAMAGED_KEPT_MS) await deps.blobs.dropDamaged(sha256);
    }
    const { checked, damaged } = await scrub(deps, { repair: true, pauseMs: PAUSE_MS, signal });
    log.info({ checked, damaged: damaged.length }, 'digested the packages of the cache');
  };
  const running = (async () => {
    for (;;) {
      await pause(EVERY_MS, signal);
      if (signal.aborted) return;
      await attempted('mirror.scrub', log, run);
    }
  })();
  return async () => {
    stopping.abort();
    await running;
  };
}
