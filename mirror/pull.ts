// One blob that is pulled through a mirror: fetched once for all requesters. Followers read the growing file; its tail
// is held back until the digest matches, so that no requester ever gets a complete body that is wrong.
//
// When the disk fills up, the fetch ends, and each follower continues on its own, from the source (through.ts).
import { IsthmusError } from '../contract/errors.ts';
import type { BlobBody } from '../lib/blobs/blob-pump.ts';
import type { BlobWriter } from '../lib/blobs/blob-writer.ts';
import { DigestMeter } from '../lib/blobs/digest.ts';
import type { FetchTarget } from '../lib/blobs/fetch.ts';
import { GrowingFile, type GrowingFileReader } from '../lib/blobs/growing-file.ts';
import { isDiskFull } from '../lib/files/disk-space.ts';
import { HELD_BACK_BYTES, Through } from './through.ts';

/** Fetches this blob from its sources into a target. */
export type FetchInto = (target: FetchTarget, signal: AbortSignal) => Promise<unknown>;

export interface PullDeps {
  readonly sizeBytes: number;
  readonly fetchInto: FetchInto;
  /** Frees some room when the disk is full after all; false when there is nothing to evict. */
  readonly makeRoom: () => Promise<boolean>;
}

export class Pull {
  readonly #deps: PullDeps;
  readonly #file: GrowingFile | undefined;

  /** Without a writer there is no room, and nothing is cached. */
  constructor(deps: PullDeps, writer: BlobWriter | undefined) {
    this.#deps = deps;
    this.#file = writer && new GrowingFile(writer, deps);
  }

  get sizeBytes(): number {
    return this.#deps.sizeBytes;
  }

  /** Bytes of it that are on the disk. */
  get bytes(): number {
    return this.uncached === undefined ? (this.#file?.bytes ?? 0) : 0;
  }

  /** Throws the error of a fetch that has failed. */
  assertNotFailed(): void {
    if (this.#file?.state.phase === 'closed') throw this.#file.state.error;
  }

  /** The digest of the bytes that followers find on the disk, once it had room for no more. */
  get uncached(): DigestMeter | undefined {
    if (this.#file === undefined) return new DigestMeter();
    const { state } = this.#file;
    return state.phase === 'discarded' ? state.meter : undefined;
  }

  /** Fetches to the end. Never throws: followers get the error. */
  async run(signal: AbortSignal): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    try {
      await this.#deps.fetchInto(file, signal);
    } catch (error) {
      await (isDiskFull(error) ? file.discard(error) : file.close(error));
    }
  }

  /** A body that follows the fetch; undefined when the fetch has ended meanwhile. */
  async follow(): Promise<BlobBody | undefined> {
    if (this.uncached?.bytes === 0) return new Follower(this, undefined);
    const reader = await this.#file?.follow(HELD_BACK_BYTES);
    return reader && new Follower(this, reader);
  }

  /** A fetch for one requester, straight from the source, from the byte where the disk filled up. */
  through(meter: DigestMeter, signal: AbortSignal): Through {
    const through = new Through(this.sizeBytes, new DigestMeter(meter));
    through.drivenBy(this.#deps.fetchInto(through, signal));
    return through;
  }
}

class Follower implements BlobBody {
  readonly isGrowing = true;
  readonly #pull: Pull;
  readonly #reader: GrowingFileReader | undefined;
  readonly #gone = new AbortController();
  #through: Through | undefined;

  constructor(pull: Pull, reader: GrowingFileReader | undefined) {
    this.#pull = pull;
    this.#reader = reader;
  }

  get sizeBytes(): number {
    return this.#pull.sizeBytes;
  }

  async read(position: number, buffer: Buffer): Promise<number> {
    if (this.#through === undefined && this.#reader !== undefined) {
      try {
        return await this.#reader.read(position, buffer);
      } catch (thrown) {
        if (this.#pull.uncached === undefined) throw thrown;
      }
    }
    return this.#readThrough(position, buffer, this.#pull.uncached!);
  }

  async close(): Promise<void> {
    this.#gone.abort(new IsthmusError('CANCELLED', 'the requester has gone'));
    this.#through?.close();
    await this.#reader?.close();
  }

  async #readThrough(position: number, buffer: Buffer, meter: DigestMeter): Promise<number> {
    this.#through ??= this.#pull.through(meter, this.#gone.signal);
    if (position >= meter.bytes || this.#reader === undefined) return this.#through.read(position, buffer);
    await this.#through.verified();
    return this.#reader.readBefore(meter.bytes, position, buffer);
  }
}
