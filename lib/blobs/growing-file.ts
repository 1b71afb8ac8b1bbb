// A blob that is read while it is received: one fetch appends, any number of readers follow. Its bytes are not to be
// trusted before it is verified; they may turn out to be wrong, and come again.
import type { FileHandle } from 'node:fs/promises';
import { Changes } from '../async/changes.ts';
import { IsthmusError } from '../../contract/errors.ts';
import { assertBytesMatch, type BlobInfo, type BlobWriter } from './blob-writer.ts';
import type { DigestMeter } from './digest.ts';
import type { FetchTarget } from './fetch.ts';
import { errnoOf, isDiskFull } from '../files/disk-space.ts';

type State =
  | { readonly phase: 'growing' }
  /** It has all its bytes, and they are the right ones; the disk may not have taken them yet. */
  | { readonly phase: 'verified' }
  | { readonly phase: 'committed' }
  | { readonly phase: 'closed'; readonly error: unknown }
  /** Gone from the disk with as many bytes as `meter` has counted. */
  | { readonly phase: 'discarded'; readonly error: unknown; readonly meter: DigestMeter };

export interface GrowingFileOptions {
  readonly sizeBytes: number;
  /** Frees some room when the disk is full after all; false when there is none to free. */
  readonly makeRoom?: () => Promise<boolean>;
}

export class GrowingFile implements FetchTarget {
  readonly #writer: BlobWriter;
  readonly #options: GrowingFileOptions;
  readonly #changes = new Changes();
  #state: State = { phase: 'growing' };
  /** Increases when everything written so far was wrong. */
  #generation = 0;
  /** Whether the wrong bytes are going: who follows from now on must not count on them. */
  #isRestarting = false;

  constructor(writer: BlobWriter, options: GrowingFileOptions) {
    this.#writer = writer;
    this.#options = options;
  }

  get sizeBytes(): number {
    return this.#options.sizeBytes;
  }

  get bytes(): number {
    return this.#isRestarting ? 0 : this.#writer.bytes;
  }

  get generation(): number {
    return this.#generation;
  }

  get state(): State {
    return this.#state;
  }

  async write(chunk: Buffer): Promise<void> {
    const { makeRoom } = this.#options;
    for (;;) {
      try {
        await this.#writer.write(chunk);
        return this.#changes.notify();
      } catch (thrown) {
        if (!isDiskFull(thrown) || (await makeRoom?.()) !== true) throw thrown;
      }
    }
  }

  async restart(): Promise<void> {
    this.#generation += 1;
    this.#isRestarting = true;
    try {
      await this.#writer.restart();
    } finally {
      this.#isRestarting = false;
    }
    this.#changes.notify();
  }

  /** Tells that the digest matches before the disk takes the bytes, which is what takes time. */
  async commit(expected: BlobInfo): Promise<void> {
    assertBytesMatch({ sha256: this.#writer.meter().sha256(), sizeBytes: this.bytes }, expected);
    this.#become({ phase: 'verified' });
    await this.#writer.commit(expected);
    this.#become({ phase: 'committed' });
  }

  /** Ends an unfinished file, whose readers get the error. The bytes stay for a resume. */
  async close(error: unknown): Promise<void> {
    // What failed first is told; that the file cannot be closed either says nothing more.
    await this.#writer.close().catch(() => undefined);
    this.#become({ phase: 'closed', error });
  }

  /** Ends an unfinished file, and frees its room once no reader is left: the bytes stay readable for these. */
  async discard(error: unknown): Promise<void> {
    const meter = this.#writer.meter();
    await this.#writer.discard().catch(() => undefined);
    this.#become({ phase: 'discarded', error, meter });
  }

  /**
   * A reader from the first byte on, that gets the last `withheldBytes` only once the file is committed. Undefined when
   * the file lies here no more: committed, or discarded. Throws the error of a file that was closed.
   */
  async follow(withheldBytes = 0): Promise<GrowingFileReader | undefined> {
    if (this.#state.phase === 'closed') throw this.#state.error;
    if (this.#state.phase === 'discarded') return undefined;
    const handle = await this.#writer.reader().catch((thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    });
    return handle === undefined
      ? undefined
      : new GrowingFileReader(this, handle, { changes: this.#changes, withheldBytes });
  }

  #become(state: State): void {
    this.#state = state;
    this.#changes.notify();
  }
}

interface Following {
  /** Tells of every byte of the file, and of its end. */
  readonly changes: Changes;
  readonly withheldBytes: number;
}

export class GrowingFileReader {
  readonly #file: GrowingFile;
  readonly #handle: FileHandle;
  readonly #changes: Changes;
  readonly #withheldBytes: number;
  #generation: number;
  #handedOver = false;
  #isClosed = false;

  constructor(file: GrowingFile, handle: FileHandle, { changes, withheldBytes }: Following) {
    this.#file = file;
    this.#handle = handle;
    this.#changes = changes;
    this.#withheldBytes = withheldBytes;
    this.#generation = file.generation;
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes;
  }

  /**
   * Reads at a position, waiting for bytes that have not arrived; 0 only at the end. PACKAGE_HASH_MISMATCH when bytes
   * that it has given out were wrong, CANCELLED once it is closed.
   */
  async read(position: number, buffer: Buffer): Promise<number> {
    while (position < this.sizeBytes) {
      const end = this.#readableBytes();
      if (position < end) {
        const got = await this.readBefore(end, position, buffer);
        if (got > 0) return got;
      } else {
        await this.#next();
      }
    }
    return 0;
  }

  /** Reads bytes before `end`, all of which are here; 0 when they were wrong and come again. */
  async readBefore(end: number, position: number, buffer: Buffer): Promise<number> {
    this.#checkGeneration();
    const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.length, end - position), position);
    // The file began anew during the read: these may be wrong bytes.
    if (this.#generation !== this.#file.generation) return 0;
    if (bytesRead === 0) throw new IsthmusError('INTERNAL', 'a file that is received has lost bytes');
    this.#handedOver = true;
    return bytesRead;
  }

  /** Resolves once every byte is known to be right; throws as `read` does. */
  async verified(): Promise<void> {
    const { phase } = this.#file.state;
    if (phase === 'verified' || phase === 'committed') return this.#checkGeneration();
    await this.#next();
    return this.verified();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // Wakes the others too, who go on waiting.
    this.#changes.notify();
    await this.#handle.close();
  }

  #readableBytes(): number {
    const { state, bytes } = this.#file;
    const withheld = this.sizeBytes - this.#withheldBytes;
    switch (state.phase) {
      case 'growing':
      case 'verified':
        return Math.min(bytes, withheld);
      case 'committed':
        return this.sizeBytes;
      case 'discarded':
        return Math.min(state.meter.bytes, withheld);
      case 'closed':
        return 0;
    }
  }

  async #next(): Promise<void> {
    this.#checkGeneration();
    const { state } = this.#file;
    if (state.phase === 'closed' || state.phase === 'discarded') throw state.error;
    await this.#changes.next();
    if (this.#isClosed) throw new IsthmusError('CANCELLED', 'the reader has gone');
  }

  #checkGeneration(): void {
    if (this.#generation === this.#file.generation) return;
    if (this.#handedOver) {
      const why = 'bytes that were handed on are wrong; fetch again from the beginning';
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', why);
    }
    this.#generation = this.#file.generation;
  }
}
