// Writes one blob into the store: appends and digests bytes, then commits them under their digest or discards them.
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { IsthmusError } from '../../contract/errors.ts';
import { DigestMeter } from './digest.ts';
import { openPartial, type PartialFile } from './partial-file.ts';
import { syncPath, translateDiskFull, writeFully } from '../files/disk-space.ts';
import { EarlyFlush } from '../files/early-flush.ts';

export interface BlobInfo {
  readonly sha256: string;
  readonly sizeBytes: number;
}

type State =
  | ({ readonly phase: 'open'; readonly early: EarlyFlush } & PartialFile)
  | { readonly phase: 'closed'; readonly bytes: number };

interface WriterFiles {
  readonly path: string;
  /** A file at `path` with more bytes is not resumed. */
  readonly mostBytes: number;
  readonly finalPath: (sha256: string) => string;
  /** Creates the folder of the final path. */
  readonly prepare: (finalPath: string) => Promise<void>;
  readonly onCommitted: (blob: BlobInfo) => void;
  readonly onClosed: () => void;
}

/** Appends to a temporary file. Exactly one of `commit`, `discard` and `close` ends it. */
export class BlobWriter {
  readonly #files: WriterFiles;
  #state: State;

  private constructor(files: WriterFiles, partial: PartialFile) {
    this.#files = files;
    this.#state = { phase: 'open', early: new EarlyFlush(), ...partial };
  }

  /** Opens the temporary file, to append after its present bytes where those can be used. */
  static async open(files: WriterFiles): Promise<BlobWriter> {
    try {
      return new BlobWriter(files, await openPartial(files.path, files.mostBytes));
    } catch (thrown) {
      files.onClosed();
      throw translateDiskFull(thrown, 'a new blob');
    }
  }

  /** Bytes appended so far; also available after the writer has ended. */
  get bytes(): number {
    return this.#state.phase === 'open' ? this.#state.meter.bytes : this.#state.bytes;
  }

  /** A copy of the digest so far, for a reader that continues without the file. */
  meter(): DigestMeter {
    return new DigestMeter(this.#opened().meter);
  }

  /** Another handle on the same bytes; it stays valid after commit and removal. */
  reader(): Promise<FileHandle> {
    return open(this.#files.path, 'r');
  }

  get path(): string {
    return this.#files.path;
  }

  /** Appends; DISK_FULL when there is no room, which keeps the bytes appended before. */
  async write(chunk: Uint8Array): Promise<void> {
    const { file, meter, early } = this.#opened();
    try {
      await writeFully(file, chunk, meter.bytes);
    } catch (thrown) {
      throw translateDiskFull(thrown, 'the package');
    }
    meter.update(chunk);
    early.wrote(file, chunk.length);
  }

  /** Drops every byte and starts again. */
  async restart(): Promise<void> {
    const { file, early } = this.#opened();
    await file.truncate(0);
    this.#state = { phase: 'open', early, file, meter: new DigestMeter() };
  }

  /**
   * Puts the blob into the store: durable, whole, under its digest. With `expected`, PACKAGE_HASH_MISMATCH when the
   * bytes are not those; the writer then stays open, so that the caller may restart it.
   */
  async commit(expected?: { readonly sha256: string; readonly sizeBytes?: number | undefined }): Promise<BlobInfo> {
    const { file, meter, early } = this.#opened();
    const blob = { sha256: meter.sha256(), sizeBytes: meter.bytes };
    if (expected !== undefined) assertBytesMatch(blob, expected);
    const finalPath = this.#files.finalPath(blob.sha256);
    try {
      await file.truncate(meter.bytes);
      await early.settled();
      await file.sync();
      await this.#files.prepare(finalPath);
      await rename(this.#files.path, finalPath);
      await syncPath(dirname(finalPath));
    } catch (thrown) {
      throw translateDiskFull(thrown, 'the package');
    }
    this.#files.onCommitted(blob);
    await this.#close();
    return blob;
  }

  /** Drops the bytes. Idempotent. */
  async discard(): Promise<void> {
    if (this.#state.phase === 'closed') return;
    try {
      await rm(this.#files.path, { force: true });
    } finally {
      await this.#close();
    }
  }

  /** Keeps the bytes for a later resume. Idempotent. */
  async close(): Promise<void> {
    if (this.#state.phase === 'open') await this.#close();
  }

  async #close(): Promise<void> {
    const { file, early } = this.#opened();
    this.#state = { phase: 'closed', bytes: this.bytes };
    try {
      // Only a commit needs the bytes to be on the disk.
      await early.settled().catch(() => undefined);
      await file.close();
    } finally {
      this.#files.onClosed();
    }
  }

  #opened(): Extract<State, { phase: 'open' }> {
    if (this.#state.phase === 'closed') throw new IsthmusError('INTERNAL', 'the writer of the blob has ended');
    return this.#state;
  }
}

/** Throws PACKAGE_HASH_MISMATCH unless digest and size are the expected ones. */
export function assertBytesMatch(
  got: BlobInfo,
  expected: { readonly sha256: string; readonly sizeBytes?: number | undefined },
): void {
  const sizeDiffers = expected.sizeBytes !== undefined && expected.sizeBytes !== got.sizeBytes;
  if (got.sha256 === expected.sha256 && !sizeDiffers) return;
  throw new IsthmusError(
    'PACKAGE_HASH_MISMATCH',
    `expected ${expected.sha256} of ${expected.sizeBytes ?? 'any'} bytes, got ${got.sha256} of ${got.sizeBytes} bytes`,
  );
}
