// The folder of one ticket: what the script reads, what it writes, and what tells how far it came.
//
//   payload.sealed   the payload under the node's key
//   body             the script, 0600, of the script user
//   exit             whether it was started, and how it ended (exit-file.ts)
//   stdout, stderr   raw output, 0600, of the agent: the script has the open files, not the right to open them again.
//                    stdout (stdout.<n> of a later attempt) is the claim, too: whoever makes it first has the say, the
//                    launcher (it then runs the body) or an agent that gave up on it
//   lines            the masked log, when it is long
//   work/            the script's working folder
//
// The small files are written and read synchronously: a dozen trips through the thread pool cost more than they do.
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { PENDING_TEXT, readExitCode, readStarted, type StartedChildProcess } from '../launch/exit-file.ts';
import type { ScriptUser } from '../launch/script-user.ts';

/** Whether a file of a workspace is the output of its script, of whatever attempt. */
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

  /** Makes the folder again when somebody removed it: its ticket still needs a place for its end. */
  ensure(): void {
    mkdirSync(this.path, { recursive: true, mode: 0o700 });
  }

  /** Keeps the payload for the case that the agent is started again. */
  keep(sealed: string): void {
    rewrite(this.sealed, sealed);
  }

  /** Puts in place what a start needs, also when an earlier attempt did so before. */
  prepare(body: string, user: ScriptUser): void {
    rewrite(this.body, body);
    rewrite(this.exit, PENDING_TEXT);
    if (!existsSync(this.work)) mkdirSync(this.work, { recursive: true, mode: 0o700 });
    if (!user.isolated) return;
    chownSync(this.body, user.uid, user.gid);
    chownSync(this.work, user.uid, user.gid);
    chmodSync(this.path, 0o711);
  }

  /** After the end nothing in here is the script user's to reach any more. */
  shut(): void {
    chmodSync(this.path, 0o700);
  }

  /** Takes the claim of an attempt; false when the launcher has it: then the script has started, or is about to. */
  takeClaim(attempt: number): boolean {
    try {
      closeSync(openSync(this.stdout(attempt), 'wx', 0o600));
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  /** The process that a launcher started; undefined until it has. */
  started(): StartedChildProcess | undefined {
    return readStarted(this.#exitText());
  }

  /** The script's real exit code; undefined until it has one. */
  exitCode(): number | undefined {
    return readExitCode(this.#exitText());
  }

  /**
   * Leaves only the agent's own two files, so that they can serve another ticket; false when there was more than its
   * script should have left. What the script could hold open, or stand in, goes for good: a process of its may live on
   * in a session of its own, and must have no part in what comes next.
   */
  clear(): boolean {
    try {
      this.#emptyBut([this.sealed, this.exit]);
      return true;
    } catch {
      return false;
    }
  }

  /** Throws where a script left more than an empty working folder and the agent's own files. */
  #emptyBut(kept: readonly string[]): void {
    rmdirSync(this.work);
    for (const name of readdirSync(this.path)) {
      const path = join(this.path, name);
      if (!kept.includes(path)) unlinkSync(path);
    }
  }

  #exitText(): string {
    try {
      return readFileSync(this.exit, 'latin1');
    } catch {
      return '';
    }
  }

  /**
   * Removes the agent's own few files and an empty working folder in one go; false when there is more, which may be
   * much. Nobody new gets in from the first moment. Only the agent can change what is in the folder itself, and none of
   * these calls follows a link in it.
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

/** Makes `content` all there is in a file. Not through an empty one: ext4 would then write it to the disk at once. */
function rewrite(path: string, content: string): void {
  const file = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600);
  try {
    const bytes = Buffer.from(content);
    writeFileSync(file, bytes);
    ftruncateSync(file, bytes.length);
  } finally {
    closeSync(file);
  }
}
