// Handles each entry of an archive: checks its name, counts it against the limits, and writes it when there is a writer.
import { IsthmusError } from '../../contract/errors.ts';
import type { EntryFacts, FolderWriter } from './folder-writer.ts';
import { SymbolicLinks } from './links.ts';
import { entryPath, EntryNames, shown } from './names.ts';

export interface ArchiveLimits {
  readonly maxEntries: number;
  /** All files together, counted as they are inflated. */
  readonly maxBytes: number;
  /** All of a tar that is no content: headers, padding and extended headers. */
  readonly maxOverheadBytes: number;
  /** What unpacking leaves free on the disk. */
  readonly reserveBytes: number;
}

/** Far above any known package, far below what fills a disk unnoticed. */
export const DEFAULT_ARCHIVE_LIMITS: ArchiveLimits = {
  maxEntries: 200_000,
  maxBytes: 16 * 1024 ** 3,
  maxOverheadBytes: 800 * 1024 ** 2,
  reserveBytes: 32 * 1024 ** 2,
};

export interface ArchiveContents {
  readonly files: number;
  /** Of all files together. */
  readonly bytes: number;
  /** Files, folders and links as the archive has them. */
  readonly entries: number;
}

export class ArchiveVisitor {
  readonly limits: ArchiveLimits;
  readonly #writer: FolderWriter | undefined;
  readonly #names = new EntryNames();
  readonly #links = new SymbolicLinks();
  #entries = 0;
  #files = 0;
  #bytes = 0;

  /** Without a writer the archive is only checked. */
  constructor(limits: ArchiveLimits, writer?: FolderWriter) {
    this.limits = limits;
    this.#writer = writer;
  }

  get contents(): ArchiveContents {
    return { files: this.#files, bytes: this.#bytes, entries: this.#entries };
  }

  /** Counts an entry before anything else is done for it. */
  count(): void {
    this.#entries += 1;
    if (this.#entries > this.limits.maxEntries) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive has more than ${this.limits.maxEntries} entries`);
    }
  }

  async folder(name: string, facts: EntryFacts): Promise<void> {
    const parts = entryPath(name);
    if (parts.length > 0) await this.#makeFolders(this.#names.admit(parts, 'folder'));
    this.#writer?.describeFolder(parts.join('/'), facts);
  }

  /** Begins a file; its content goes to `write`, and `endFile` ends it. */
  async beginFile(name: string, facts: EntryFacts): Promise<void> {
    const path = await this.#enter(name, 'file');
    this.#files += 1;
    await this.#writer?.beginFile(path.join('/'), facts);
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#bytes += chunk.length;
    const { maxBytes } = this.limits;
    if (this.#bytes > maxBytes) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive unpacks to more than ${maxBytes} bytes`);
    }
    await this.#writer?.write(chunk);
  }

  async endFile(): Promise<void> {
    await this.#writer?.endFile();
  }

  /** A second name of a file that came before in the archive; of a symbolic link, another one with its target. */
  async hardLink(name: string, target: string): Promise<void> {
    const file = target
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/');
    const isOwn = !target.startsWith('/') && file !== entryPath(name).join('/');
    const link = isOwn ? this.#links.find(file) : undefined;
    if (link !== undefined) {
      this.#links.add({ ...link, parts: await this.#enter(name, 'link') });
      return;
    }
    const path = await this.#enter(name, 'file');
    if (!isOwn || !this.#names.isFile(file)) {
      const [from, to] = [shown(name), shown(target)];
      throw new IsthmusError(
        'PACKAGE_LINK',
        `the hard link ${from} is to no file or link before it in the archive: to ${to}`,
      );
    }
    this.#files += 1;
    await this.#writer?.hardLink(path.join('/'), file);
  }

  /** A symbolic link; it is judged and made when all entries are known. */
  async symbolicLink(name: string, target: string, { modifiedAt }: EntryFacts): Promise<void> {
    this.#links.add({ parts: await this.#enter(name, 'link'), target, modifiedAt });
  }

  /** Ends the archive. Links are made once `verified` has resolved: until then nothing leads from one name to another. */
  async finish(verified?: () => Promise<void>): Promise<void> {
    this.#links.judge();
    await verified?.();
    await this.#writer?.finishFiles(this.#links.all);
  }

  /** Admits a name, and makes the folders above it. */
  async #enter(name: string, kind: 'file' | 'link'): Promise<readonly string[]> {
    const parts = entryPath(name);
    if (parts.length === 0) throw new IsthmusError('PACKAGE_NAME', `a ${kind} has no name`);
    await this.#makeFolders(this.#names.admit(parts, kind));
    return parts;
  }

  async #makeFolders(folders: readonly string[]): Promise<void> {
    for (const folder of folders) await this.#writer?.makeFolder(folder);
  }
}
