// The bulk windows that the last transfers to each neighbour ended with, over sessions and restarts, so that the next
// transfer need not find the line's rate anew.
import { join } from 'node:path';
import { HintFile, readHints } from '../../lib/files/hint-file.ts';
import type { Logger } from '../../lib/telemetry/log.ts';
import type { KeptWindow } from '../tunnel/window.ts';

/** As the file has it: `atMs` is a moment, since the process that reads it has another monotonic clock. */
type StoredWindows = Readonly<Record<string, KeptWindow>>;

/** More neighbours than a node has links; the one whose transfer is longest ago goes first. */
const MOST_KEPT = 4096;
const WRITE_INTERVAL_MS = 60_000;

export class KeptWindows {
  readonly #windows = new Map<string, KeptWindow>();
  readonly #file: HintFile | undefined;

  /** Without a file, windows are in memory only. */
  constructor(file?: { readonly path: string; readonly log: Logger }) {
    if (file === undefined) return;
    const content = () => Object.fromEntries(this.#stored());
    this.#file = new HintFile({ ...file, everyMs: WRITE_INTERVAL_MS, content });
  }

  /** The windows of a node's last run, in its data folder. */
  static open(dataDir: string, log: Logger): KeptWindows {
    const path = join(dataDir, 'links.json');
    const windows = new KeptWindows({ path, log });
    for (const [node, { bytes, atMs }] of Object.entries(readHints(path, isStored, log) ?? {})) {
      windows.#windows.set(node, { bytes, atMs: performance.now() - Math.max(0, Date.now() - atMs) });
    }
    return windows;
  }

  /** The last window towards a neighbour, at a monotonic time. */
  of(node: string): KeptWindow | undefined {
    return this.#windows.get(node);
  }

  keep(node: string, window: KeptWindow): void {
    this.#windows.delete(node);
    this.#windows.set(node, window);
    if (this.#windows.size > MOST_KEPT) this.#windows.delete(this.#windows.keys().next().value!);
    this.#file?.changed();
  }

  /** Writes what is not on disk yet. Idempotent. */
  close(): void {
    this.#file?.close();
  }

  #stored(): [string, KeptWindow][] {
    const wentMs = Date.now() - performance.now();
    return [...this.#windows].map(([node, { bytes, atMs }]) => [node, { bytes, atMs: Math.round(wentMs + atMs) }]);
  }
}

function isStored(value: unknown): value is StoredWindows {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((window: unknown) => {
    const { bytes, atMs } = (window ?? {}) as Partial<Record<keyof KeptWindow, unknown>>;
    return Number.isFinite(bytes) && Number.isFinite(atMs);
  });
}
