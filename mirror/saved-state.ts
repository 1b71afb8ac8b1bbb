// What a mirror knows of its cache beside the packages themselves: uses, counters and pins, in `<data>/cache.json`. It
// may be lost: then the counters begin at 0, and the server sends the pins again.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { attempted, every } from '../lib/async/background.ts';
import { writeDurably } from '../lib/files/durable.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { Counts } from './counters.ts';
import type { SavedUses } from './uses.ts';

export interface CacheState {
  readonly uses: SavedUses;
  readonly counts: Counts;
  readonly pins: readonly string[];
}

const SAVE_EVERY_MS = 60_000;

function fileIn(dataDir: string): string {
  return join(dataDir, 'cache.json');
}

/** What was saved; nothing when there is no file, or no whole one. */
export async function readCacheState(dataDir: string): Promise<Partial<CacheState>> {
  try {
    // Written by saveCacheState below only.
    return JSON.parse(await readFile(fileIn(dataDir), 'utf8')) as CacheState;
  } catch {
    return {};
  }
}

interface StateSaver {
  /** Saves for the last time. */
  stop(): Promise<void>;
}

/** Saves the state now and then, when it has changed. */
export function saveCacheState(dataDir: string, state: () => CacheState, log: Logger): StateSaver {
  let saved = '';
  const save = (): void => {
    const text = JSON.stringify(state());
    if (text === saved) return;
    writeDurably(fileIn(dataDir), text);
    saved = text;
  };
  const stop = every(SAVE_EVERY_MS, 'mirror.state', log, save);
  return {
    stop: () => {
      stop();
      return attempted('mirror.state', log, save);
    },
  };
}
