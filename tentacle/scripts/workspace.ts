// The folder of one ticket: what the script reads, what it writes, and what tells how far it came.
//
//   payload.sealed   the payload under the node's key
//   body             the script, 0600, of the script user
//   claim.<n>        made by whoever comes first, the wrapper (it then runs the body) or an agent that gave up on it
//   exit             eight characters and a line feed, written in place: the exit code, or "pending"
//   stdout, stderr   raw output, 0600, of the agent: the script has the open files, not the right to open them again
//   lines            the masked log
//   work/            the script's working folder
//
// The small files are written and read synchronously: a dozen trips through the thread pool cost more than they do.
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../remove-tree.ts';
import type { ScriptUser } from './script-user.ts';

const pendingExit = 'pending ';

export class Workspace {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  get sealed(): string {
    return join(this.path, 'payload.sealed');
  }

  get body(): string {
    return join(this.path, 'body');
  }

  get exit(): string {
    return join(this.path, 'exit');
  }

  get stdout(): string {
    return join(this.path, 'stdout');
  }

  get stderr(): string {
    return join(this.path, 'stderr');
  }

  get lines(): string {
    return join(this.path, 'lines');
  }

  get work(): string {
    return join(this.path, 'work');
  }

  claim(attempt: number): string {
    return join(this.path, `claim.${attempt}`);
  }

  /** Makes the folder with the sealed payload in it. */
  create(sealed: string): void {
    mkdirSync(this.path, { mode: 0o700 });
    writeFileSync(this.sealed, sealed, { mode: 0o600 });
  }

  /** Makes the folder again when somebody removed it: its ticket still needs a place for its end. */
  ensure(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  /** Puts in place what a start needs, also when an earlier attempt did so before. */
  prepare(body: string, user: ScriptUser): void {
    writeFileSync(this.body, body, { mode: 0o600 });
    // Written now, so that the exit code has its place on the disk even when that is full by then.
    writeFileSync(this.exit, `${pendingExit}\n`, { mode: 0o600 });
    mkdirSync(this.work, { recursive: true, mode: 0o700 });
    if (!user.isolated) return;
    chownSync(this.body, user.uid, user.gid);
    chownSync(this.work, user.uid, user.gid);
    chmodSync(this.path, 0o711);
  }

  /** After the end nothing in here is the script user's to reach any more. */
  shut(): void {
    chmodSync(this.path, 0o700);
  }

  /** Takes the claim of an attempt; false when the wrapper has it: then the script has started. */
  takeClaim(attempt: number): boolean {
    try {
      closeSync(openSync(this.claim(attempt), 'wx', 0o600));
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  /** When the wrapper took the claim, which is when the script started; undefined when nobody took it. */
  claimedAtMs(attempt: number): number | undefined {
    const claim = statSync(this.claim(attempt), { throwIfNoEntry: false });
    return claim && Math.round(claim.mtimeMs);
  }

  /** The script's real exit code; undefined until it has one. */
  exitCode(): number | undefined {
    let text: string;
    try {
      text = readFileSync(this.exit, 'latin1');
    } catch {
      return undefined;
    }
    return /^\d{1,3} *\n$/.test(text) ? Number.parseInt(text, 10) : undefined;
  }

  /** Nobody new gets in from the first moment; who is in there already cannot lead the removal elsewhere. */
  async remove(): Promise<void> {
    if (statSync(this.path, { throwIfNoEntry: false }) !== undefined) this.shut();
    if (!this.#removeSmall()) await removeTree(this.path);
  }

  /**
   * Removes the agent's own few files and an empty working folder in one go; false when there is more, which may be much.
   * Only the agent can change what is in the folder itself, and none of these calls follows a link in it.
   */
  #removeSmall(): boolean {
    try {
      rmdirSync(this.work);
      for (const name of readdirSync(this.path)) unlinkSync(join(this.path, name));
      rmdirSync(this.path);
      return true;
    } catch {
      return false;
    }
  }
}

/** The tickets that have a folder. */
export async function listWorkspaces(folder: string): Promise<string[]> {
  return readdir(folder);
}
