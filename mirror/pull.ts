// One blob that is pulled through a mirror: fetched once for all requesters. Followers read the growing file; its tail
// is held back until the digest matches, so that no requester ever gets a complete body that is wrong.
//
// When the disk fills up, the fetch ends, and each follower continues on its own, from the source (through.ts).
import type { FileHandle } from 'node:fs/promises';
import { IsthmusError } from '../contract/errors.ts';
import type { BlobBody } from '../lib/blobs/blob-pump.ts';
import type { BlobWriter } from '../lib/blobs/blob-writer.ts';
import { DigestMeter } from '../lib/blobs/digest.ts';
import { errnoOf, isDiskFull } from '../lib/files/disk-space.ts';
import type { FetchTarget } from '../lib/blobs/fetch.ts';
import { Changes } from './changes.ts';
import { HELD_BACK_BYTES, Through } from './through.ts';

type State =
  | { readonly phase: 'running'; readonly writer: BlobWriter }
  /** Every byte is on disk and verified. */
  | { readonly phase: 'whole' }
  /** The disk had room for `meter.bytes` only. */
  | { readonly phase: 'uncached'; readonly meter: DigestMeter }
  | { readonly phase: 'failed'; readonly error: unknown };

/** Fetches this blob from its sources into a target. */
export type FetchInto = (target: FetchTarget, signal: AbortSignal) => Promise<unknown>;

export interface PullDeps {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly fetchInto: FetchInto;
  /** Frees some room when the disk is full after all; false when there is nothing to evict. */
  readonly makeRoom: () => Promise<boolean>;
}

export class Pull implements FetchTarget {
  readonly #deps: PullDeps;
  readonly #changes = new Changes();
  /** Increases when everything written so far was wrong. */
  #generation = 0;
  #state: State;

  /** Without a writer there is no room, and nothing is cached. */
  constructor(deps: PullDeps, writer: BlobWriter | undefined) {
    this.#deps = deps;
    this.#state = writer === undefined ? { phase: 'uncached', meter: new DigestMeter() } : { phase: 'running', writer };
  }

  get sizeBytes(): number {
    return this.#deps.sizeBytes;
  }

  get generation(): number {
    return this.#generation;
  }

  get state(): State {
    return this.#state;
  }

  /** Fetches to the end. Never throws: followers get the error. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#state.phase !== 'running') return;
    const { writer } = this.#state;
    try {
      await this.#deps.fetchInto(this, signal);
      this.#become({ phase: 'whole' });
    } catch (error) {
      // What failed first is told; that the file cannot be closed either says nothing more.
      if (isDiskFull(error)) {
        const meter = writer.meter();
        // Followers have their own file handles: the bytes stay readable, and the room is freed when they are done.
        await writer.discard().catch(() => undefined);
        this.#become({ phase: 'uncached', meter });
      } else {
        await writer.close().catch(() => undefined);
        this.#become({ phase: 'failed', error });
      }
    }
  }

  /** A body that follows the fetch; undefined when the fetch has ended meanwhile. */
  async follow(): Promise<BlobBody | undefined> {
    if (this.#state.phase === 'failed') throw this.#state.error;
    if (this.#state.phase === 'uncached' && this.#state.meter.bytes === 0) return new Follower(this, undefined);
    if (this.#state.phase !== 'running') return undefined;
    const file = await this.#state.writer.reader().catch((thrown: unknown) => {
      if (errnoOf(thrown) === 'ENOENT') return undefined;
      throw thrown;
    });
    return file === undefined ? undefined : new Follower(this, file);
  }

  changed(): Promise<void> {
    return this.#changes.next();
  }

  /** A fetch for one requester, straight from the source, from the byte where the disk filled up. */
  through(meter: DigestMeter, signal: AbortSignal): Through {
    const through = new Through(this.sizeBytes, new DigestMeter(meter));
    through.drivenBy(this.#deps.fetchInto(through, signal));
    return through;
  }

  // FetchTarget: the fetch writes here.

  get bytes(): number {
    return this.#writer().bytes;
  }

  async write(chunk: Buffer): Promise<void> {
    const writer = this.#writer();
    for (;;) {
      try {
        await writer.write(chunk);
        return this.#changes.notify();
      } catch (thrown) {
        if (!isDiskFull(thrown) || !(await this.#deps.makeRoom())) throw thrown;
      }
    }
  }

  async restart(): Promise<void> {
    this.#generation += 1;
    await this.#writer().restart();
    this.#changes.notify();
  }

  async commit(expected: { readonly sha256: string; readonly sizeBytes: number }): Promise<void> {
    await this.#writer().commit(expected);
  }

  #writer(): BlobWriter {
    if (this.#state.phase !== 'running') throw new IsthmusError('INTERNAL', 'this blob is no longer being fetched');
    return this.#state.writer;
  }

  #become(state: State): void {
    this.#state = state;
    this.#changes.notify();
  }
}

class Follower implements BlobBody {
  readonly isGrowing = true;
  readonly #pull: Pull;
  readonly #file: FileHandle | undefined;
  readonly #gone = new AbortController();
  #generation: number;
  #handedOver = false;
  #through: Through | undefined;

  constructor(pull: Pull, file: FileHandle | undefined) {
    this.#pull = pull;
    this.#file = file;
    this.#generation = pull.generation;
  }

  get sizeBytes(): number {
    return this.#pull.sizeBytes;
  }

  async read(position: number, buffer: Buffer): Promise<number> {
    while (position < this.sizeBytes) {
      this.#checkGeneration();
      const { state } = this.#pull;
      const got = await this.#readFile(position, buffer, this.#readable(state));
      if (got > 0) return got;
      if (state.phase === 'failed') throw state.error;
      if (state.phase === 'uncached') return this.#readThrough(position, buffer, state.meter);
      if (state === this.#pull.state) await this.#nextUnlessReadable(position);
    }
    return 0;
  }

  async close(): Promise<void> {
    this.#gone.abort(new IsthmusError('CANCELLED', 'the requester has gone'));
    this.#through?.close();
    await this.#file?.close();
  }

  /** The end of the bytes on disk that may be handed on. */
  #readable(state: State): number {
    const withheld = this.sizeBytes - HELD_BACK_BYTES;
    switch (state.phase) {
      case 'whole':
        return this.sizeBytes;
      case 'running':
        return Math.min(state.writer.bytes, withheld);
      case 'uncached':
        return this.#through?.isVerified === true ? state.meter.bytes : Math.min(state.meter.bytes, withheld);
      case 'failed':
        return 0;
    }
  }

  async #readFile(position: number, buffer: Buffer, end: number): Promise<number> {
    if (this.#file === undefined || position >= end) return 0;
    const { bytesRead } = await this.#file.read(buffer, 0, Math.min(buffer.length, end - position), position);
    // The fetch restarted during the read: these may be wrong bytes.
    if (this.#generation !== this.#pull.generation) return 0;
    this.#handedOver ||= bytesRead > 0;
    return bytesRead;
  }

  async #readThrough(position: number, buffer: Buffer, meter: DigestMeter): Promise<number> {
    this.#through ??= this.#pull.through(meter, this.#gone.signal);
    if (position >= meter.bytes) return this.#through.read(position, buffer);
    await this.#through.verified();
    return this.#readFile(position, buffer, meter.bytes);
  }

  /** Waits for more bytes, unless some came while the file was read. */
  async #nextUnlessReadable(position: number): Promise<void> {
    if (position >= this.#readable(this.#pull.state) && this.#generation === this.#pull.generation) {
      await this.#pull.changed();
    }
  }

  #checkGeneration(): void {
    if (this.#generation === this.#pull.generation) return;
    if (this.#handedOver) {
      throw new IsthmusError(
        'PACKAGE_HASH_MISMATCH',
        'bytes that were handed on are wrong; fetch again from the beginning',
      );
    }
    this.#generation = this.#pull.generation;
  }
}
