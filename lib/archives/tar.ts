// Reads a tar.gz entry by entry; admits only files and folders.
import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { IsthmusError } from '../../contract/errors.ts';
import { hasControlCharacter } from './names.ts';
import type { ArchiveVisitor } from './visitor.ts';

/** Allowance for an entry's headers, padding and extended headers. */
const OVERHEAD_PER_ENTRY_BYTES = 4 * 1024;
/** An extended header holds a path or two; a longer one is an attack on memory. */
const LARGEST_META_BYTES = 64 * 1024;
const READ_BYTES = 256 * 1024;

/** Passes every entry of the archive to the visitor, one at a time. */
export async function readTarGz(path: string, visitor: ArchiveVisitor): Promise<void> {
  const source = createReadStream(path, { highWaterMark: READ_BYTES });
  const inflated = createGunzip({ chunkSize: READ_BYTES });
  source.on('error', (error) => inflated.destroy(error));
  const reading = new TarReading(visitor);
  try {
    for await (const chunk of source.pipe(inflated) as AsyncIterable<Buffer>) await reading.take(chunk);
    await reading.end();
  } finally {
    source.destroy();
    inflated.destroy();
  }
}

type Step =
  | { readonly kind: 'entry'; readonly entry: ReadEntry }
  | { readonly kind: 'data'; readonly chunk: Uint8Array }
  | { readonly kind: 'end'; readonly entry: ReadEntry };

/**
 * The parser handles a chunk synchronously and records steps. They run before it gets the next chunk, so that at most one
 * chunk is in memory.
 */
class TarReading {
  readonly #visitor: ArchiveVisitor;
  readonly #parser = new Parser({ strict: true, maxMetaEntrySize: LARGEST_META_BYTES, zstd: false });
  #steps: Step[] = [];
  #streamBytes = 0;
  #atEnd = false;
  #entered = false;
  #failure: { readonly thrown: unknown } | undefined;

  constructor(visitor: ArchiveVisitor) {
    this.#visitor = visitor;
    this.#parser.on('error', (cause: Error) => this.#damaged(cause));
    this.#parser.on('meta', (meta: string) => this.#guard(() => checkMeta(meta)));
    this.#parser.on('ignoredEntry', (entry: ReadEntry) => this.#guard(() => reject(entry)));
    this.#parser.on('eof', () => (this.#atEnd = true));
    this.#parser.on('entry', (entry: ReadEntry) => this.#enter(entry));
  }

  async take(chunk: Buffer): Promise<void> {
    this.#countStream(chunk.length);
    // The parser would inflate once more, but the format has no archive inside another.
    const first = this.#streamBytes === chunk.length;
    if (first && chunk[0] === 0x1f && chunk[1] === 0x8b) {
      throw new IsthmusError('PACKAGE_FORMAT', 'what is inside the gzip is not a tar');
    }
    // Only padding follows the end mark; the parser would keep all of it in memory.
    if (!this.#atEnd) this.#parser.write(chunk);
    await this.#runSteps();
  }

  async end(): Promise<void> {
    if (this.#streamBytes === 0) throw new IsthmusError('PACKAGE_FORMAT', 'there is nothing in the gzip');
    this.#parser.end();
    await this.#runSteps();
  }

  #damaged(cause: Error): void {
    // The parser rejects an end mark with nothing before it; the caller reports an archive without files.
    if (this.#atEnd && !this.#entered) return;
    const what = this.#entered
      ? 'the tar inside is damaged'
      : 'what is inside the gzip is not a tar, or its beginning is damaged';
    this.#fail(new IsthmusError('PACKAGE_FORMAT', what, { cause }));
  }

  #enter(entry: ReadEntry): void {
    this.#entered = true;
    this.#steps.push({ kind: 'entry', entry });
    entry.on('data', (chunk: Uint8Array) => this.#steps.push({ kind: 'data', chunk }));
    entry.on('end', () => this.#steps.push({ kind: 'end', entry }));
  }

  async #runSteps(): Promise<void> {
    const steps = this.#steps;
    this.#steps = [];
    for (const step of steps) await this.#step(step);
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  async #step(step: Step): Promise<void> {
    if (step.kind === 'data') return this.#visitor.write(step.chunk);
    const isFolder = kindOf(step.entry) === 'folder';
    if (step.kind === 'end') return isFolder ? undefined : this.#visitor.endFile();
    this.#visitor.count();
    const { path, mode = 0 } = step.entry;
    await (isFolder ? this.#visitor.folder(path) : this.#visitor.beginFile(path, (mode & 0o100) !== 0));
  }

  /** Counts headers too, to limit an archive that has only headers. */
  #countStream(bytes: number): void {
    this.#streamBytes += bytes;
    const { maxBytes, maxEntries } = this.#visitor.limits;
    if (this.#streamBytes > maxBytes + maxEntries * OVERHEAD_PER_ENTRY_BYTES) {
      throw new IsthmusError('PACKAGE_BOMB', `the archive inflates to more than ${maxBytes} bytes and their headers`);
    }
  }

  #guard(check: () => void): void {
    try {
      check();
    } catch (thrown) {
      this.#fail(thrown);
    }
  }

  /** Keeps the first failure; steps recorded before it still run and may throw first. */
  #fail(thrown: unknown): void {
    this.#failure ??= { thrown };
  }
}

function kindOf(entry: ReadEntry): 'file' | 'folder' {
  switch (entry.type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
      return 'file';
    case 'Directory':
      return 'folder';
    default:
      return reject(entry);
  }
}

/** Checks a PAX or GNU header before the parser drops what it does not expect in it. */
function checkMeta(meta: string): void {
  const isPax = /^\d+ [A-Za-z.]+=/.test(meta);
  const records = isPax ? paxRecords(meta) : new Map([['path', meta.replace(/\0+$/, '')]]);
  for (const [key, value] of records) {
    if (key.startsWith('GNU.sparse.')) throw sparse();
    if (key === 'path' && hasControlCharacter(value)) {
      throw new IsthmusError('PACKAGE_NAME', 'an entry has a control character in its name');
    }
  }
}

/** The records of a PAX header by their lengths: the parser splits at line ends, which a value may contain. */
function paxRecords(meta: string): Map<string, string> {
  const bytes = Buffer.from(meta);
  const records = new Map<string, string>();
  for (let at = 0; at < bytes.length;) {
    const head = /^(\d{1,6}) ([^=\n]+)=/.exec(bytes.toString('latin1', at, at + 300));
    const length = Number(head?.[1]);
    // Bytes that are not UTF-8 are longer once decoded. They are valid in attributes, which do not matter here; the check
    // of names finds them in names.
    if (head === null || length <= head[0].length || at + length > bytes.length) break;
    records.set(head[2]!, bytes.toString('utf8', at + head[0].length, at + length - 1));
    at += length;
  }
  return records;
}

function reject(entry: ReadEntry): never {
  if (entry.meta) throw new IsthmusError('PACKAGE_BOMB', 'an extended header of the archive is too large');
  switch (entry.type) {
    case 'Link':
    case 'SymbolicLink':
      throw new IsthmusError('PACKAGE_LINK', `the archive has a link: ${JSON.stringify(entry.path.slice(0, 120))}`);
    case 'SparseFile':
      throw sparse();
    default:
      throw new IsthmusError('PACKAGE_ENTRY', `the archive has an entry of kind ${entry.type}`);
  }
}

function sparse(): IsthmusError {
  return new IsthmusError('PACKAGE_BOMB', 'the archive has sparse files, which claim bytes it does not hold');
}
