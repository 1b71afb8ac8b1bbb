// All workspaces of a tentacle. Creating and removing files is slow, so the folder of a short script is reused for the
// next one; the agent's own two files stay in it and are overwritten.
import { chmodSync, mkdirSync, readdirSync, realpathSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ownFolder } from '../../../lib/files/private.ts';
import type { Logger } from '../../../lib/telemetry/log.ts';
import { UndeletableFiles } from './undeletable-files.ts';
import { isRawOutput, Workspace } from './workspace.ts';

/** Folders kept for reuse: about as many as scripts run at the same time in a burst. */
const MOST_SPARE = 64;

export class Workspaces {
  /** The real path of the data folder, so that paths in it can be compared with those in /proc. */
  readonly root: string;
  readonly folder: string;
  readonly #spareFolder: string;
  readonly #reuses: boolean;
  readonly #undeletable: UndeletableFiles;
  readonly #spare: string[] = [];
  /** Names spare folders. Starts at the time, so that a folder of an earlier agent never has the same name. */
  #spareNumber = Date.now();

  private constructor(dataDir: string, { reuses, log }: { readonly reuses: boolean; readonly log: Logger }) {
    this.root = realpathSync(dataDir);
    this.folder = join(this.root, 'tickets');
    this.#spareFolder = join(this.root, 'spare');
    this.#reuses = reuses;
    this.#undeletable = new UndeletableFiles(join(this.root, 'undeletable'), log);
  }

  /**
   * Opens the workspaces of a data folder. With isolation a folder is never reused: a process of an earlier script may
   * still have a file in it open.
   */
  static open(dataDir: string, { isolated, log }: { readonly isolated: boolean; readonly log: Logger }): Workspaces {
    const workspaces = new Workspaces(dataDir, { reuses: !isolated, log });
    ownFolder(workspaces.folder);
    chmodSync(workspaces.folder, isolated ? 0o711 : 0o700);
    ownFolder(workspaces.#spareFolder);
    for (const name of readdirSync(workspaces.#spareFolder))
      workspaces.#undeletable.put(join(workspaces.#spareFolder, name));
    return workspaces;
  }

  /** The workspace of a ticket, whether it exists or not. */
  of(ticket: string): Workspace {
    return new Workspace(join(this.folder, ticket));
  }

  /** Creates the workspace of a ticket, with its sealed payload. */
  create(ticket: string, sealed: string): void {
    const workspace = this.of(ticket);
    const spare = this.#spare.pop();
    if (spare === undefined) mkdirSync(workspace.path, { mode: 0o700 });
    else renameSync(spare, workspace.path);
    workspace.keep(sealed);
  }

  /**
   * Removes a workspace. What cannot be removed is moved out of the way and tried again later. `abandoned` says that no
   * process of its script is left, so that the folder may be reused.
   */
  async remove(workspace: Workspace, { abandoned }: { readonly abandoned: boolean }): Promise<void> {
    if (abandoned && this.#keepAsSpare(workspace)) return;
    if (!workspace.removeSmall()) await this.#undeletable.remove(workspace.path);
  }

  /** Whether a file is raw output that belongs to none of these tickets. */
  isOutputOfOthers(path: string, tickets: { has(ticket: string): boolean }): boolean {
    const folder = dirname(path);
    if (!isRawOutput(path)) return false;
    if (dirname(folder) === this.#spareFolder || this.#undeletable.holds(path)) return true;
    return dirname(folder) === this.folder && !tickets.has(basename(folder));
  }

  /** Moves the folders of all other tickets to where the next `clearUndeletableFiles` removes them. */
  putAwayAllBut(tickets: { has(ticket: string): boolean }): void {
    for (const ticket of readdirSync(this.folder)) {
      if (!tickets.has(ticket)) this.#undeletable.put(this.of(ticket).path);
    }
  }

  /** Tries again to remove what could not be removed before. */
  clearUndeletableFiles(): Promise<void> {
    return this.#undeletable.empty();
  }

  /** Stops removing. */
  stop(): Promise<void> {
    return this.#undeletable.stop();
  }

  #keepAsSpare(workspace: Workspace): boolean {
    if (!this.#reuses || this.#spare.length >= MOST_SPARE || !workspace.clear()) return false;
    this.#spareNumber += 1;
    const path = join(this.#spareFolder, String(this.#spareNumber));
    try {
      renameSync(workspace.path, path);
    } catch {
      return false;
    }
    this.#spare.push(path);
    return true;
  }
}
