// Handles each entry of an archive: counts it against the limits, and writes it when there is a target folder.
import { chmod, mkdir, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { entryPath, EntryNames, shown } from './names.ts';
import { errnoOf, freeBytes, syncPath, writeFully } from '../files/disk-space.ts';

export interface ArchiveLimits {
  readonly maxEntries: number;
  /** All files together, counted as they are inflated. */
  readonly maxBytes: number;
  /** What unpacking leaves free on the disk. */
  readonly reserveBytes: number;
}

/** Far above any known package, far below what fills a disk unnoticed. */
export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  maxEntries: 200_000,
  maxBytes: 16 * 1024 ** 3,
  reserveBytes: 32 * 1024 ** 2,
};

/** The free space is checked again after this many bytes. */
const BYTES_BETWEEN_CHECKS = 16 * 1024 ** 2;

export interface ArchiveContents {
  readonly files: number;
  readonly bytes: number;
}

/** How many files are flushed at once: enough for the disk to batch, few enough for any descriptor limit. */
const FLUSH_AT_ONCE = 8;

interface OpenFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly mode: number;
  position: number;
}

export class ArchiveVisitor {
  readonly limits: ArchiveLimits;
  readonly #into: string | undefined;
  readonly #names = new EntryNames();
  readonly #paths = { files: new Array<string>(), folders: new Array<string>() };
  #entries = 0;
  #files = 0;
  #bytes = 0;
  #checkRoomAt = 0;
  #writing: OpenFile | undefined;

  /** Without `into` the archive is only checked. */
  constructor(limits: ArchiveLimits, into?: string) {
    this.limits = limits;
    this.#into = into;
  }

  get contents(): ArchiveContents {
    return { files: this.#files, bytes: this.#bytes };
  }

  /** Counts an entry before anything else is done for it. */
  count(): void {
    this.#entries += 1;
    if (this.#entries > this.limits.maxEntries) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive has more than ${this.limits.maxEntries} entries`);
    }
  }

  async folder(name: string): Promise<void> {
    const parts = entryPath(name);
    if (parts.length > 0) await this.#makeFolders(this.#names.admit(parts, 'folder'));
  }

  /** Begins a file; its content goes to `write`, and `endFile` ends it. */
  async beginFile(name: string, executable: boolean): Promise<void> {
    const parts = entryPath(name);
    if (parts.length === 0) throw new IsthmusError('PACKAGE_NAME', 'a file has no name');
    await this.#makeFolders(this.#names.admit(parts, 'file'));
    this.#files += 1;
    if (this.#into === undefined) return;
    const path = join(this.#into, ...parts);
    // Exclusive: never writes to or through an existing file.
    const handle = await open(path, 'wx', 0o600).catch((thrown: unknown) => {
      throw translateExisting(thrown, name);
    });
    this.#writing = { path, handle, mode: executable ? 0o755 : 0o644, position: 0 };
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#countBytes(chunk.length);
    if (this.#into === undefined || this.#writing === undefined) return;
    await this.#checkRoom(this.#into);
    await writeFully(this.#writing.handle, chunk, this.#writing.position);
    this.#writing.position += chunk.length;
  }

  async endFile(): Promise<void> {
    if (this.#writing === undefined) return;
    const { path, handle, mode } = this.#writing;
    await handle.chmod(mode);
    await this.close();
    this.#paths.files.push(path);
  }

  /** Closes the file that is being written, if any. */
  async close(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    await writing?.handle.close();
  }

  /** Flushes everything written to disk. */
  async flush(): Promise<void> {
    if (this.#into === undefined) return;
    const pending = [...this.#paths.files, ...this.#paths.folders, this.#into];
    const work = async (): Promise<void> => {
      for (let path = pending.pop(); path !== undefined; path = pending.pop()) await syncPath(path);
    };
    await Promise.all(Array.from({ length: FLUSH_AT_ONCE }, work));
  }

  async #makeFolders(folders: readonly string[]): Promise<void> {
    if (this.#into === undefined) return;
    for (const folder of folders) {
      const path = join(this.#into, folder);
      await mkdir(path).catch((thrown: unknown) => {
        throw translateExisting(thrown, folder);
      });
      await chmod(path, 0o755);
      this.#paths.folders.push(path);
    }
  }

  #countBytes(bytes: number): void {
    this.#bytes += bytes;
    const { maxBytes } = this.limits;
    if (this.#bytes > maxBytes) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive unpacks to more than ${maxBytes} bytes`);
    }
  }

  async #checkRoom(folder: string): Promise<void> {
    if (this.#bytes < this.#checkRoomAt) return;
    this.#checkRoomAt = this.#bytes + BYTES_BETWEEN_CHECKS;
    const free = await freeBytes(folder);
    if (free >= this.limits.reserveBytes) return;
    throw new IsthmusError('DISK_FULL', `no room on the disk to unpack the package: ${free} bytes are free`);
  }
}

/** Names that the archive keeps apart may be one to the file system. */
function translateExisting(thrown: unknown, name: string): unknown {
  if (errnoOf(thrown) !== 'EEXIST') return thrown;
  return new IsthmusError('PACKAGE_NAME', `another entry is the same file on this disk: ${shown(name)}`, {
    cause: thrown,
  });
}
