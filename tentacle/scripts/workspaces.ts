// All workspaces of a tentacle. A file system takes its time to make and remove a file, so the folder of a short script
// serves the next one: the agent's own files in it are emptied and written anew.
import { chmodSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Workspace } from './workspace.ts';

/** Folders kept for the next scripts: as many as are at work side by side in a burst. */
const mostSpare = 64;

export class Workspaces {
  readonly folder: string;
  readonly #spareFolder: string;
  readonly #reuses: boolean;
  readonly #spare: string[] = [];
  #named = 0;

  private constructor(dataDir: string, reuses: boolean) {
    this.folder = join(dataDir, 'tickets');
    this.#spareFolder = join(dataDir, 'spare');
    this.#reuses = reuses;
  }

  /**
   * Opens those of a data folder. Isolated scripts get a folder that nobody had before: a process of theirs may still
   * have a file of its own in there open.
   */
  static async open(dataDir: string, { isolated }: { readonly isolated: boolean }): Promise<Workspaces> {
    const workspaces = new Workspaces(dataDir, !isolated);
    mkdirSync(workspaces.folder, { recursive: true, mode: 0o700 });
    chmodSync(workspaces.folder, isolated ? 0o711 : 0o700);
    await rm(workspaces.#spareFolder, { recursive: true, force: true });
    mkdirSync(workspaces.#spareFolder, { mode: 0o700 });
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

  /** Clears a workspace away. `abandoned` says that no process of its script can be left in it. */
  async remove(workspace: Workspace, { abandoned }: { readonly abandoned: boolean }): Promise<void> {
    if (abandoned && this.#reuses && this.#spare.length < mostSpare && workspace.clear()) {
      this.#named += 1;
      const path = join(this.#spareFolder, String(this.#named));
      renameSync(workspace.path, path);
      this.#spare.push(path);
    } else await workspace.remove();
  }

  /** Removes what belongs to none of these tickets. */
  async removeAllBut(tickets: { has(ticket: string): boolean }): Promise<void> {
    for (const ticket of readdirSync(this.folder)) {
      if (!tickets.has(ticket)) await this.of(ticket).remove();
    }
  }
}
