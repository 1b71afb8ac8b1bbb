// Where the folders of completed tickets go before they are removed: out of everybody's way first, and what cannot be
// removed then is in nobody's. A script may leave what the agent cannot remove (files of root made by sudo, a mount);
// that must neither fail a completion nor the next start.
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { errnoOf } from '../../../lib/files/disk-space.ts';
import { removeTree } from '../../remove-tree.ts';

export class UndeletableFiles {
  readonly #folder: string;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  /** What could not be moved, where it is. */
  readonly #unmoved = new Set<string>();
  #emptying: Promise<void> | undefined;

  /** Opens the one in `folder`, with what is in it still. */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
  }

  /** Whether a path is of something that was put in here. */
  holds(path: string): boolean {
    return path.startsWith(`${this.#folder}/`);
  }

  /** Puts a folder in here, not removing it yet; answers where it is now: in its place still if it cannot be moved. */
  put(path: string): string {
    const inHere = join(this.#folder, `${basename(path)}.${randomBytes(6).toString('hex')}`);
    try {
      // Moving a folder takes the right to write in it, which its script may have taken away.
      chmodSync(path, 0o700);
      renameSync(path, inHere);
      return inHere;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return path;
      this.#log.warn({ err: error, folder: path }, 'a folder cannot be moved away');
      this.#unmoved.add(path);
      return path;
    }
  }

  /** Removes a folder. What cannot be removed is told in the log, and tried again whenever this is emptied. */
  async remove(path: string): Promise<void> {
    const folder = this.put(path);
    try {
      await removeTree(folder);
    } catch (error) {
      this.#log.warn({ err: error, folder }, 'a script left what cannot be removed; remove it by hand');
    }
  }

  /** Removes what is in here, as far as it can be; while that goes on it is not begun again. */
  async empty(): Promise<void> {
    this.#emptying ??= this.#empty().finally(() => {
      this.#emptying = undefined;
    });
    await this.#emptying;
  }

  /** What is not removed yet is so by the next agent. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#emptying;
  }

  async #empty(): Promise<void> {
    const { signal } = this.#stopping;
    const reasons: unknown[] = [];
    try {
      const moved = readdirSync(this.#folder).map((name) => join(this.#folder, name));
      for (const folder of [...moved, ...this.#unmoved]) {
        await removeTree(folder, signal).then(
          () => this.#unmoved.delete(folder),
          (error: unknown) => reasons.push(error),
        );
      }
    } catch (error) {
      reasons.push(error);
    }
    if (reasons.length === 0 || signal.aborted) return;
    const more = { err: reasons[0], folders: reasons.length, in: this.#folder };
    this.#log.warn(more, 'what scripts left cannot be removed; remove it by hand');
  }
}
