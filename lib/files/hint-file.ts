// A small file of hints for the next start: written at most once in a while, and not synced. A power cut may lose the
// latest; nothing depends on it.
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Logger } from '../telemetry/log.ts';

export interface HintFileOptions {
  readonly path: string;
  readonly log: Logger;
  /** The least time between two writes. */
  readonly everyMs: number;
  /** What to write, as JSON. */
  readonly content: () => unknown;
}

/** What a hint file holds; undefined when there is none. One that cannot be read is logged and counts as none. */
export function readHints<Content>(
  path: string,
  isContent: (value: unknown) => value is Content,
  log: Logger,
): Content | undefined {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (isContent(content)) return content;
    log.warn({ path }, 'what a file kept is unreadable, and ignored');
  } catch (err) {
    const none = err instanceof Error && 'code' in err && err.code === 'ENOENT';
    if (!none) log.warn({ err, path }, 'what a file kept is unreadable, and ignored');
  }
  return undefined;
}

export class HintFile {
  readonly #options: HintFileOptions;
  #unwritten = false;
  #writeLater: NodeJS.Timeout | undefined;

  constructor(options: HintFileOptions) {
    this.#options = options;
  }

  /** Writes the content now, or soon after the last write. */
  changed(): void {
    this.#unwritten = true;
    if (this.#writeLater === undefined) this.#write();
  }

  /** Writes what is not on disk yet. Idempotent. */
  close(): void {
    clearTimeout(this.#writeLater);
    this.#write();
    clearTimeout(this.#writeLater);
  }

  #write(): void {
    if (!this.#unwritten) return;
    const { path, log, everyMs, content } = this.#options;
    this.#unwritten = false;
    this.#writeLater = setTimeout(() => {
      this.#writeLater = undefined;
      this.#write();
    }, everyMs).unref();
    try {
      // A new file, never one that a link there points to.
      rmSync(`${path}.new`, { force: true });
      writeFileSync(`${path}.new`, JSON.stringify(content()), { mode: 0o600, flag: 'wx' });
      renameSync(`${path}.new`, path);
    } catch (err) {
      log.warn({ err, path }, 'this file cannot be kept over a restart');
    }
  }
}
