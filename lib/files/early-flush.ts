// Flushes a large file to the disk while more is written to it, so that little is left to flush at its end.
import type { FileHandle } from 'node:fs/promises';

/** Large enough for the disk to write in one go, small enough to be written before the next part has come. */
const FLUSH_EVERY_BYTES = 8 * 1024 ** 2;

/** The flushes of one file. */
export class EarlyFlush {
  #unflushedBytes = 0;
  #flushing: Promise<void> | undefined;
  #failure: { readonly thrown: unknown } | undefined;

  /** Counts bytes that were written; begins to flush them once they are many. */
  wrote(file: FileHandle, bytes: number): void {
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < FLUSH_EVERY_BYTES || this.#flushing !== undefined) return;
    this.#unflushedBytes = 0;
    this.#flushing = this.#flush(file);
  }

  /**
   * Resolves when no flush is under way: the file may be closed. Throws the error of a flush, which the system tells
   * once only: a later flush of the same file would succeed.
   */
  async settled(): Promise<void> {
    await this.#flushing;
    if (this.#failure !== undefined) throw this.#failure.thrown;
  }

  async #flush(file: FileHandle): Promise<void> {
    try {
      await file.datasync();
    } catch (thrown) {
      this.#failure ??= { thrown };
    } finally {
      this.#flushing = undefined;
    }
  }
}
