// All workspaces of a tentacle. A file system takes its time to make and remove a file, so the folder of a short script
// serves the next one, with the agent's own two files in it, written anew.
import { chmodSync, mkdirSync, readdirSync, realpathSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { UndeletableFiles } from './undeletable-files.ts';
import { isRawOutput, Workspace } from './workspace.ts';

/** Folders kept for the next scripts: as many as are at work side by side in a burst. */
const MOST_SPARE = 64;

export class Workspaces {
  /** The real path of the data folder, so that what /proc says of a path in it can be compared. */
  readonly root: string;
  readonly folder: string;
  readonly #spareFolder: string;
  readonly #reuses: boolean;
  readonly #undeletable: UndeletableFiles;
  readonly #spare: string[] = [];
  /** Names spare folders; never as an earlier agent did, of whose there may be one still. */
  #named = Date.now();

  private constructor(dataDir: string, { reuses, log }: { readonly reuses: boolean; readonly log: Logger }) {
    this.root = realpathSync(dataDir);
    this.folder = join(this.root, 'tickets');
    this.#spareFolder = join(this.root, 'spare');
    this.#reuses = reuses;
    this.#undeletable = new UndeletableFiles(join(this.root, 'undeletable'), log);
  }

  /**
   * Opens those of a data folder. Isolated scripts get a folder that nobody had before: a process of theirs may still
   * have a file of its own in there open.
   */
  static open(dataDir: string, { isolated, log }: { readonly isolated: boolean; readonly log: Logger }): Workspaces {
    const workspaces = new Workspaces(dataDir, { reuses: !isolated, log });
    mkdirSync(workspaces.folder, { recursive: true, mode: 0o700 });
    chmodSync(workspaces.folder, isolated ? 0o711 : 0o700);
    mkdirSync(workspaces.#spareFolder, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(workspaces.#spareFolder))
      workspaces.#undeletable.put(join(workspaces.#spareFolder, name));
    return workspaces;
  }

  /** The workspace of a ticket, made or not. */
  of(ticket: string): Workspace {
    return new Workspace(join(this.folder, ticket));
  }

  /** Makes the workspace of a ticket, with its sealed payload in it. */
  create(ticket: string, sealed: string): void {
    const workspace = this.of(ticket);
    const spare = this.#spare.pop();
    if (spare === undefined) mkdirSync(workspace.path, { mode: 0o700 });
    else renameSync(spare, workspace.path);
    workspace.keep(sealed);
  }

  /**
   * Clears a workspace away; what cannot be removed is kept out of the way and tried again. `abandoned` says that no
   * process of its script can be left in it.
   */
  async remove(workspace: Workspace, { abandoned }: { readonly abandoned: boolean }): Promise<void> {
    if (abandoned && this.#keepAsSpare(workspace)) return;
    if (!workspace.removeSmall()) await this.#undeletable.remove(workspace.path);
  }

  /** Whether a file is output of a script that is no longer the output of one of these tickets. */
  isOutputOfOthers(path: string, tickets: { has(ticket: string): boolean }): boolean {
    const folder = dirname(path);
    if (!isRawOutput(path)) return false;
    if (dirname(folder) === this.#spareFolder || this.#undeletable.holds(path)) return true;
    return dirname(folder) === this.folder && !tickets.has(basename(folder));
  }

  /** Puts what belongs to none of these tickets where the next `clearUndeletableFiles` removes it. */
  putAwayAllBut(tickets: { has(ticket: string): boolean }): void {
    for (const ticket of readdirSync(this.folder)) {
      if (!tickets.has(ticket)) this.#undeletable.put(this.of(ticket).path);
    }
  }

  /** Removes what could not be removed before, as far as it can be now. */
  clearUndeletableFiles(): Promise<void> {
    return this.#undeletable.empty();
  }

  /** Removes no more. */
  stop(): Promise<void> {
    return this.#undeletable.stop();
  }

  #keepAsSpare(workspace: Workspace): boolean {
    if (!this.#reuses || this.#spare.length >= MOST_SPARE || !workspace.clear()) return false;
    this.#named += 1;
    const path = join(this.#spareFolder, String(this.#named));
    try {
      renameSync(workspace.path, path);
    } catch {
      return false;
    }
    this.#spare.push(path);
    return true;
  }
}
