// The folder of one ticket: what the script reads, what it writes, and what tells how far it came.
//
//   payload.sealed   the payload under the node's key
//   body             the script, 0600, of the script user
//   claim.<n>        made by whoever comes first, the wrapper (it then runs the body) or an agent that gave up on it
//   exit             eight characters and a line feed, written in place: the exit code, or "pending"
//   stdout, stderr   raw output, 0600, of the agent: the script has the open files, not the right to open them again
//   lines            the masked log
//   work/            the script's working folder
import { chmod, chown, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
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
  async create(sealed: string): Promise<void> {
    await mkdir(this.path, { mode: 0o700 });
    await writeFile(this.sealed, sealed, { mode: 0o600 });
  }

  /** Puts in place what a start needs, also when an earlier attempt did so before. */
  async prepare(body: string, user: ScriptUser): Promise<void> {
    await Promise.all([
      writeFile(this.body, body, { mode: 0o600 }),
      // Written now, so that the exit code has its place on the disk even when that is full by then.
      writeFile(this.exit, `${pendingExit}\n`, { mode: 0o600 }),
      writeFile(this.stdout, '', { mode: 0o600 }),
      writeFile(this.stderr, '', { mode: 0o600 }),
      mkdir(this.work, { recursive: true, mode: 0o700 }),
    ]);
    if (!user.isolated) return;
    await Promise.all([chown(this.body, user.uid, user.gid), chown(this.work, user.uid, user.gid)]);
    await chmod(this.path, 0o711);
  }

  /** After the end nothing in here is the script user's to reach any more. */
  async shut(): Promise<void> {
    await chmod(this.path, 0o700);
  }

  /** Takes the claim of an attempt; false when the wrapper has it: then the script has started. */
  async takeClaim(attempt: number): Promise<boolean> {
    try {
      const file = await open(this.claim(attempt), 'wx', 0o600);
      await file.close();
      return true;
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  /** When the wrapper took the claim, which is when the script started; undefined when nobody took it. */
  async claimedAtMs(attempt: number): Promise<number | undefined> {
    return stat(this.claim(attempt)).then(
      ({ mtimeMs }) => Math.round(mtimeMs),
      () => undefined,
    );
  }

  /** The script's real exit code; undefined until it has one. */
  async exitCode(): Promise<number | undefined> {
    const text = await readFile(this.exit, 'latin1').catch(() => '');
    return /^\d{1,3} *\n$/.test(text) ? Number.parseInt(text, 10) : undefined;
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }
}

/** The tickets that have a folder. */
export async function listWorkspaces(folder: string): Promise<string[]> {
  return readdir(folder);
}
