// Writes what an archive has into a folder. Until all is written only its owner can reach anything, and no link is
// there for a file to be written through. Modes and times come last: they may forbid what writing needs.
import { link, lutimes, mkdir, open, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf, freeBytes, writeFully } from '../files/disk-space.ts';
import type { SymbolicLink } from './links.ts';
import { shown } from './names.ts';

/** What an archive tells of an entry; undefined for what it does not tell. */
export interface EntryFacts {
  readonly mode: number | undefined;
  readonly modifiedAt: Date | undefined;
}

/** Set-id and sticky bits are dropped: a package gives no rights that whoever deploys it does not have. */
const PERMISSIONS = 0o777;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** The free space is checked again after this many bytes. */
const BYTES_BETWEEN_CHECKS = 16 * 1024 ** 2;
/** How many files are flushed at once: enough for the disk to batch, few enough for any descriptor limit. */
const FLUSH_AT_ONCE = 8;

interface OpenFile {
  readonly handle: FileHandle;
  position: number;
}

export class FolderWriter {
  readonly #root: string;
  readonly #reserveBytes: number;
  readonly #signal: AbortSignal | undefined;
  readonly #files = new Map<string, EntryFacts>();
  readonly #folders = new Map<string, EntryFacts>();
  #writing: OpenFile | undefined;
  #bytes = 0;
  #checkRoomAt = 0;

  /** Writes into `root`, which is empty and leaves `reserveBytes` free on its disk. Once `signal` aborts, it throws. */
  constructor(root: string, reserveBytes: number, signal: AbortSignal | undefined) {
    this.#root = root;
    this.#reserveBytes = reserveBytes;
    this.#signal = signal;
    this.#folders.set('', { mode: FOLDER_MODE, modifiedAt: undefined });
  }

  async makeFolder(path: string): Promise<void> {
    await translated(mkdir(join(this.#root, path), 0o700), path);
    this.#folders.set(path, { mode: undefined, modifiedAt: undefined });
  }

  /** What the archive tells of a folder, which may come after what is in it. That of the root is not the package's. */
  describeFolder(path: string, facts: EntryFacts): void {
    if (path !== '') this.#folders.set(path, facts);
  }

  /** Begins a file; its content goes to `write`, and `endFile` ends it. */
  async beginFile(path: string, facts: EntryFacts): Promise<void> {
    this.#signal?.throwIfAborted();
    // Exclusive: never writes to or through what exists.
    const handle = await translated(open(join(this.#root, path), 'wx', 0o600), path);
    this.#writing = { handle, position: 0 };
    this.#files.set(path, facts);
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#signal?.throwIfAborted();
    if (this.#writing === undefined) return;
    await this.#checkRoom(chunk.length);
    await writeFully(this.#writing.handle, chunk, this.#writing.position);
    this.#writing.position += chunk.length;
  }

  /** Closes the file that is being written, if any. */
  async endFile(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    await writing?.handle.close();
  }

  /** Gives a file that was written before a second name. */
  async hardLink(path: string, target: string): Promise<void> {
    await translated(link(join(this.#root, target), join(this.#root, path)), path);
  }

  /** Gives all files their modes and times, makes the links, and flushes them. */
  async finishFiles(links: readonly SymbolicLink[]): Promise<void> {
    await this.#finish([...this.#files], FILE_MODE);
    for (const { parts, target, modifiedAt } of links) {
      this.#signal?.throwIfAborted();
      const path = join(this.#root, ...parts);
      await translated(symlink(target, path), parts.join('/'));
      if (modifiedAt !== undefined) await lutimes(path, modifiedAt, modifiedAt);
    }
  }

  /** Gives all folders their modes and times, the deepest first: nothing below them changes any more. */
  async finishFolders(): Promise<void> {
    const byDepth = Map.groupBy(this.#folders, ([path]) => (path === '' ? 0 : path.split('/').length));
    for (const [, folders] of [...byDepth].sort(([a], [b]) => b - a)) await this.#finish(folders, FOLDER_MODE);
  }

  async #finish(entries: readonly (readonly [string, EntryFacts])[], defaultMode: number): Promise<void> {
    const pending = [...entries];
    const work = async (): Promise<void> => {
      for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
        this.#signal?.throwIfAborted();
        const [path, { mode = defaultMode, modifiedAt }] = entry;
        const handle = await open(join(this.#root, path), 'r');
        try {
          await handle.chmod(mode & PERMISSIONS);
          if (modifiedAt !== undefined) await handle.utimes(modifiedAt, modifiedAt);
          await handle.sync();
        } finally {
          await handle.close();
        }
      }
    };
    await Promise.all(Array.from({ length: FLUSH_AT_ONCE }, work));
  }

  async #checkRoom(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < this.#checkRoomAt) return;
    this.#checkRoomAt = this.#bytes + BYTES_BETWEEN_CHECKS;
    const free = await freeBytes(this.#root);
    if (free >= this.#reserveBytes) return;
    throw new IsthmusError('DISK_FULL', `no room on the disk to unpack the package: ${free} bytes are free`);
  }
}

/** Names that the archive keeps apart may be one to the file system. */
async function translated<Result>(work: Promise<Result>, name: string): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (errnoOf(cause) !== 'EEXIST') throw cause;
    throw new IsthmusError('PACKAGE_NAME', `another entry is the same file on this disk: ${shown(name)}`, { cause });
  }
}
