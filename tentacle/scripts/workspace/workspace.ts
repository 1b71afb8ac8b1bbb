// The folder of one ticket: the script's input, its output, and how far it came.
//
//   payload.sealed   the payload, encrypted under the node's key
//   body             the script, 0600, owned by the script user
//   exit             whether it started, and how it ended (exit-file.ts)
//   stdout, stderr   raw output, 0600, owned by the agent: the script inherits the open files but may not reopen them.
//                    stdout (stdout.<n> for a later attempt) is also the claim. Whoever creates it first decides: the
//                    launcher (it then runs the body), or an agent that gave up on it
//   lines            the masked log, when it is long
//   work/            the script's working folder
//
// Small files are written and read synchronously: a dozen trips through the thread pool cost more than the calls.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { assertNoLink, openOwn, ownFolder } from '../../../lib/files/private.ts';
import { PENDING_TEXT, readExit, readStarted, type StartedChildProcess } from '../launch/exit-file.ts';
import type { ProcessExit } from '../../journal/records.ts';
import { isShortage } from '../../system-errors.ts';
import type { ScriptUser } from '../launch/script-user.ts';

/** Whether a file of a workspace is raw output of its script, from any attempt. */
export function isRawOutput(path: string): boolean {
  return /^std(out|err)(\.\d+)?$/.test(basename(path));
}

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

  stdout(attempt: number): string {
    return join(this.path, attempt === 1 ? 'stdout' : `stdout.${attempt}`);
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

  /** Creates the folder again when somebody removed it: the end of its ticket is still written here. */
  ensure(): void {
    ownFolder(this.path);
  }

  /** Keeps the payload for an agent that starts again. */
  keep(sealed: string): void {
    rewrite(this.sealed, sealed);
  }

  /** Writes the files that a start needs. Idempotent: an earlier attempt may have done so. */
  prepare(body: string, user: ScriptUser): void {
    assertNoLink(this.path);
    rewrite(this.body, body);
    rewrite(this.exit, PENDING_TEXT);
    ownFolder(this.work);
    if (!user.isolated) return;
    chownSync(this.body, user.uid, user.gid);
    chownSync(this.work, user.uid, user.gid);
    chmodSync(this.path, 0o711);
  }

  /** Closes the folder to the script user, after the script has ended. */
  shut(): void {
    assertNoLink(this.path);
    chmodSync(this.path, 0o700);
  }

  /** Whether the claim of an attempt is taken. */
  isClaimed(attempt: number): boolean {
    return existsSync(this.stdout(attempt));
  }

  /** Takes the claim of an attempt; false when the launcher has it: the script has started, or is about to. */
  takeClaim(attempt: number): boolean {
    try {
      closeSync(openOwn(this.stdout(attempt), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL));
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  /** Whether its supervisor may not have begun: it records the process before the script runs. */
  isPending(): boolean {
    return this.#exitText() === PENDING_TEXT;
  }

  /** The process that runs the script; undefined before that. */
  started(): StartedChildProcess | undefined {
    return readStarted(this.#exitText());
  }

  /** How the script ended; undefined until that is recorded. */
  exitOfScript(): ProcessExit | undefined {
    return readExit(this.#exitText());
  }

  /**
   * Empties the folder but for the agent's own two files, so that another ticket can reuse it; false when the script
   * left anything else. The files and folders that the script could have open are removed: one of its processes may
   * live on in a session of its own, and must not reach the next script.
   */
  clear(): boolean {
    try {
      this.#emptyBut([this.sealed, this.exit]);
      return true;
    } catch {
      return false;
    }
  }

  /** Throws when the script left more than an empty working folder and the agent's own files. */
  #emptyBut(kept: readonly string[]): void {
    assertNoLink(this.path);
    rmdirSync(this.work);
    for (const name of readdirSync(this.path)) {
      const path = join(this.path, name);
      if (!kept.includes(path)) unlinkSync(path);
    }
  }

  #exitText(): string {
    try {
      return readFileSync(this.exit, 'latin1');
    } catch (error) {
      if (isShortage(error)) throw error;
      return '';
    }
  }

  /**
   * Removes the folder when it holds only the agent's own files and an empty working folder; false when there is more,
   * which may be much. The folder is closed first. Only the agent can change its direct entries, and none of these
   * calls follows a link in it.
   */
  removeSmall(): boolean {
    try {
      this.shut();
      this.#emptyBut([]);
      rmdirSync(this.path);
      return true;
    } catch {
      return false;
    }
  }
}

/** Overwrites a file. It is not truncated to zero first: ext4 would then flush it to the disk at once. */
function rewrite(path: string, content: string): void {
  const file = openOwn(path, constants.O_WRONLY | constants.O_CREAT);
  try {
    const bytes = Buffer.from(content);
    writeFileSync(file, bytes);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}
