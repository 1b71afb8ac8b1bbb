// Writes what an archive has into a folder. Until all is written only its owner can reach anything, and no link is
// there for a file to be written through. The modes and times of folders come last: they may forbid what writing needs.
import { link, lutimes, mkdir, open, symlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import { IsthmusError } from '../../contract/errors.ts';
import { errnoOf, freeBytes, syncPath, writeFully } from '../files/disk-space.ts';
import { EarlyFlush } from '../files/early-flush.ts';
import type { SymbolicLink } from './links.ts';
import { shown } from './names.ts';

/** What an archive tells of an entry; undefined for what it does not tell. */
export interface EntryFacts {
  readonly mode: number | undefined;
  readonly modifiedAt: Date | undefined;
}

/** A folder of an archive, by its path: '' is the root. */
export type FolderFacts = readonly [path: string, facts: EntryFacts];

/** Set-id and sticky bits are dropped: a package gives no rights that whoever deploys it does not have. */
const PERMISSIONS = 0o777;
const FILE_MODE = 0o644;
const FOLDER_MODE = 0o755;

/** The free space is checked again after this many bytes. */
const BYTES_BETWEEN_CHECKS = 16 * 1024 ** 2;
/** How many files are flushed at once: enough for the disk to batch, few enough for any descriptor limit. */
const FLUSH_AT_ONCE = 8;
/** While bytes are received: flushing must leave threads of the process for that. */
const FLUSH_WHILE_RECEIVING = 2;
/** Files that wait open to be flushed; writing waits for those beyond. */
const MOST_UNFLUSHED = 64;

interface OpenFile {
  readonly handle: FileHandle;
  readonly facts: EntryFacts;
  readonly early: EarlyFlush;
  position: number;
}

export interface FolderWriterOptions {
  /** What it leaves free on the disk. */
  readonly reserveBytes: number;
  /** Once it aborts, writing throws. */
  readonly signal?: AbortSignal | undefined;
  /** Whether what it writes is still being received. */
  readonly isReceiving?: boolean;
}

export class FolderWriter {
  readonly #root: string;
  readonly #options: FolderWriterOptions;
  readonly #folders = new Map<string, EntryFacts>();
  readonly #flushes: PQueue;
  #failure: { readonly thrown: unknown } | undefined;
  #isAbandoned = false;
  #writing: OpenFile | undefined;
  #bytes = 0;
  #checkRoomAt = 0;

  /** Writes into `root`, which is empty. `finishFiles` or `abandon` ends it. */
  constructor(root: string, options: FolderWriterOptions) {
    this.#root = root;
    this.#options = options;
    this.#flushes = new PQueue({ concurrency: options.isReceiving === true ? FLUSH_WHILE_RECEIVING : FLUSH_AT_ONCE });
    this.#folders.set('', { mode: FOLDER_MODE, modifiedAt: undefined });
  }

  /** Every folder so far. */
  get folders(): FolderFacts[] {
    return [...this.#folders];
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
    this.#options.signal?.throwIfAborted();
    // Exclusive: never writes to or through what exists.
    const handle = await translated(open(join(this.#root, path), 'wx', 0o600), path);
    this.#writing = { handle, facts, early: new EarlyFlush(), position: 0 };
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (this.#writing === undefined) return;
    await this.#checkRoom(chunk.length);
    const { handle, early, position } = this.#writing;
    await writeFully(handle, chunk, position);
    this.#writing.position += chunk.length;
    early.wrote(handle, chunk.length);
  }

  /** Ends the file that is being written, if any: it gets its mode and time, and is flushed while others are written. */
  async endFile(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    if (writing === undefined) return;
    this.#flushes.add(() => this.#flush(writing)).catch(() => undefined);
    await this.#flushes.onSizeLessThan(MOST_UNFLUSHED);
  }

  /** Gives a file that was written before a second name. */
  async hardLink(path: string, target: string): Promise<void> {
    await translated(link(join(this.#root, target), join(this.#root, path)), path);
  }

  /** Waits until all files are flushed, makes the links, and flushes the folders, so that all names last. */
  async finishFiles(links: readonly SymbolicLink[]): Promise<void> {
    this.#flushes.concurrency = FLUSH_AT_ONCE;
    await this.#flushes.onIdle();
    if (this.#failure !== undefined) throw this.#failure.thrown;
    for (const { parts, target, modifiedAt } of links) {
      this.#options.signal?.throwIfAborted();
      const path = join(this.#root, ...parts);
      await translated(symlink(target, path), parts.join('/'));
      if (modifiedAt !== undefined) await lutimes(path, modifiedAt, modifiedAt);
    }
    await eachAtOnce(this.#folders.keys(), (path) => syncPath(join(this.#root, path)), this.#options.signal);
  }

  /** Closes every file, for the folder to be removed. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.endFile();
    await this.#flushes.onIdle();
  }

  async #flush({ handle, facts: { mode = FILE_MODE, modifiedAt }, early }: OpenFile): Promise<void> {
    try {
      if (!this.#isAbandoned) {
        await early.settled();
        await handle.chmod(mode & PERMISSIONS);
        if (modifiedAt !== undefined) await handle.utimes(modifiedAt, modifiedAt);
        await handle.sync();
      }
    } catch (thrown) {
      this.#failure ??= { thrown };
    } finally {
      await early.settled().catch(() => undefined);
      await handle.close();
    }
  }

  async #checkRoom(bytes: number): Promise<void> {
    this.#bytes += bytes;
    if (this.#bytes < this.#checkRoomAt) return;
    this.#checkRoomAt = this.#bytes + BYTES_BETWEEN_CHECKS;
    const free = await freeBytes(this.#root);
    if (free >= this.#options.reserveBytes) return;
    throw new IsthmusError('DISK_FULL', `no room on the disk to unpack the package: ${free} bytes are free`);
  }
}

/** Gives folders below `root` their modes and times, the deepest first: nothing in them changes any more. */
export async function finishFolders(
  root: string,
  folders: readonly FolderFacts[],
  signal?: AbortSignal,
): Promise<void> {
  const byDepth = Map.groupBy(folders, ([path]) => (path === '' ? 0 : path.split('/').length));
  for (const [, alike] of [...byDepth].sort(([a], [b]) => b - a)) {
    await eachAtOnce(alike, ([path, facts]) => finishFolder(join(root, path), facts), signal);
  }
}

async function finishFolder(path: string, { mode = FOLDER_MODE, modifiedAt }: EntryFacts): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.chmod(mode & PERMISSIONS);
    if (modifiedAt !== undefined) await handle.utimes(modifiedAt, modifiedAt);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Does the work for each item, for a few of them at once. */
async function eachAtOnce<Item>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) {
      signal?.throwIfAborted();
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: FLUSH_AT_ONCE }, worker));
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
