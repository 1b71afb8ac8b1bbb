// Removes the folders of completed tickets, and keeps what cannot be removed. A script may leave files that the agent
// cannot delete (created by root through sudo, a mount); that must fail neither a completion nor the next start. So a
// folder is first moved in here, out of the way, then removed.
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, readdirSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { errnoOf } from '../../../lib/files/disk-space.ts';
import { ownFolder } from '../../../lib/files/private.ts';
import { removeTree } from '../../remove-tree.ts';

export class UndeletableFiles {
  readonly #folder: string;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  /** Folders that could not be moved in here. */
  readonly #unmoved = new Set<string>();
  #emptying: Promise<void> | undefined;

  /** Opens `folder`, with whatever an earlier agent left in it. */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
    ownFolder(folder);
    chmodSync(folder, 0o700);
  }

  /** Whether a path is in this folder. */
  holds(path: string): boolean {
    return path.startsWith(`${this.#folder}/`);
  }

  /** Moves a folder in here, without removing it. Returns its path afterwards: unchanged when it cannot be moved. */
  put(path: string): string {
    const inHere = join(this.#folder, `${basename(path)}.${randomBytes(6).toString('hex')}`);
    try {
      // Moving a folder needs write permission in it, which its script may have removed.
      if (!lstatSync(path).isSymbolicLink()) chmodSync(path, 0o700);
      renameSync(path, inHere);
      return inHere;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return path;
      this.#log.warn({ err: error, folder: path }, 'a folder cannot be moved away');
      this.#unmoved.add(path);
      return path;
    }
  }

  /** Removes a folder. A failure is logged; the next `empty` tries again. */
  async remove(path: string): Promise<void> {
    const folder = this.put(path);
    try {
      await removeTree(folder);
    } catch (error) {
      this.#log.warn({ err: error, folder }, 'a script left files that cannot be removed; remove them by hand');
    }
  }

  /** Removes everything in here that can be removed. Concurrent calls share one run. */
  async empty(): Promise<void> {
    this.#emptying ??= this.#empty().finally(() => {
      this.#emptying = undefined;
    });
    await this.#emptying;
  }

  /** Aborts a running `empty`; the next agent goes on with it. */
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
    this.#log.warn(more, 'scripts left files that cannot be removed; remove them by hand');
  }
}
