// Fetches one blob from an ordered list of sources: goes on by range where the last one stopped, whichever source comes
// next, and believes nothing until the digest matches.
//
// Bytes of several sources are mixed only while that works. When a mixed body has the wrong digest nobody knows whose
// bytes were wrong, so from then on each source has to deliver the whole by itself, and one that fails alone is left
// out.
import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from '../async/backoff.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { BlobAnswer } from './blob-client.ts';

export interface Source {
  readonly node: string;
  /** The relays to cross, next first. */
  readonly path: readonly string[];
  readonly url?: string | undefined;
}

export interface FailedSource {
  readonly node: string;
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Where the bytes go. */
export interface FetchTarget {
  /** Bytes that are in it, from the beginning of the blob. */
  readonly bytes: number;
  write(chunk: Buffer): Promise<void>;
  /** Forgets every byte. */
  restart(): Promise<void>;
  /** Takes the blob as whole; PACKAGE_HASH_MISMATCH when its bytes are not those of the digest. */
  commit(expected: { readonly sha256: string; readonly sizeBytes: number }): Promise<unknown>;
}

export type OnWrongSource = (node: string, error: IsthmusError) => void;

export interface FetchRequest {
  readonly sha256: string;
  /** When it is known beforehand; else the first answer tells. */
  readonly sizeBytes?: number | undefined;
  /** Nearest first. */
  readonly sources: readonly Source[];
  readonly target: FetchTarget;
  readonly open: (source: Source, fromByte: number, signal: AbortSignal) => Promise<BlobAnswer>;
  readonly demotions: Demotions;
  readonly signal: AbortSignal;
  /** Called when the size becomes known from an answer; again after a source has lied about it. */
  readonly onSize?: ((sizeBytes: number) => Promise<void> | void) | undefined;
  readonly onProgress?:
    ((progress: { readonly bytes: number; readonly sizeBytes: number; readonly from: string }) => void) | undefined;
  /** Told of a source that had other bytes than the blob's, and is asked no more. */
  readonly onWrongSource: OnWrongSource;
  /** How often the list is gone through without a byte of progress. */
  readonly rounds?: number | undefined;
}

export interface Fetched {
  /** The source that delivered the last byte. */
  readonly from: string;
  readonly sizeBytes: number;
  readonly failed: readonly FailedSource[];
}

const DEFAULT_ROUNDS = 4;
const backoff = { baseMs: 200, capMs: 5_000, factor: 3, jitter: 'half' } as const;

/** Fetches the blob into the target. PACKAGE_UNAVAILABLE, with each source's reason, when no source could deliver it. */
export async function fetchBlob(request: FetchRequest): Promise<Fetched> {
  const fetching = new Fetching(request);
  const rounds = request.rounds ?? DEFAULT_ROUNDS;
  let pauses = 0;
  for (let fruitless = 0; fruitless < rounds; pauses += 1) {
    const outcome = await fetching.goThrough();
    if (outcome.end === 'whole') return outcome.fetched;
    if (outcome.end === 'hopeless') break;
    // Bytes came, so the way works: waiting longer each time would only slow it down.
    if (outcome.progressed) [fruitless, pauses] = [0, 0];
    else fruitless += 1;
    if (fruitless < rounds) await delay(backoffMs(pauses, backoff), undefined, { signal: request.signal });
  }
  throw fetching.unavailable();
}

type Round =
  | { readonly end: 'whole'; readonly fetched: Fetched }
  | { readonly end: 'cut'; readonly progressed: boolean }
  | { readonly end: 'hopeless' };

/** Keeps what failed of late behind what did not. */
export class Demotions {
  readonly #until = new Map<string, number>();
  readonly #forMs: number;

  constructor(forMs = 5 * 60_000) {
    this.#forMs = forMs;
  }

  demote(node: string): void {
    this.#until.set(node, Date.now() + this.#forMs);
  }

  /** The sources in their order, demoted ones last. */
  order(sources: readonly Source[]): Source[] {
    const now = Date.now();
    const demoted = (source: Source) => (this.#until.get(source.node) ?? 0) > now;
    return [...sources.filter((source) => !demoted(source)), ...sources.filter(demoted)];
  }
}

/** Bytes that were in the target before anybody delivered: a place of their own when it comes to who was wrong. */
const ON_DISK = '';
/** A long fetch over a bad line fails often; the first failures tell as much as all of them. */
const MOST_FAILURES_KEPT = 32;

class Fetching {
  readonly #request: FetchRequest;
  readonly #failed: FailedSource[] = [];
  readonly #leftOut = new Set<string>();
  readonly #contributors = new Set<string>();
  #alone = false;
  #sizeBytes: number | undefined;

  constructor(request: FetchRequest) {
    this.#request = request;
    this.#sizeBytes = request.sizeBytes;
    if (request.target.bytes > 0) this.#contributors.add(ON_DISK);
  }

  /** Asks each source once. */
  async goThrough(): Promise<Round> {
    const { target, sources, demotions } = this.#request;
    const before = target.bytes;
    for (const source of demotions.order(sources)) {
      if (this.#leftOut.has(source.node)) continue;
      const fetched = await this.#trySource(source);
      if (fetched !== undefined) return { end: 'whole', fetched };
    }
    if (sources.every((source) => this.#leftOut.has(source.node))) return { end: 'hopeless' };
    return { end: 'cut', progressed: !this.#alone && target.bytes > before };
  }

  unavailable(): IsthmusError {
    const tried = this.#failed.slice(-8).map(({ node, code, detail }) => `${node}: ${code} (${detail})`);
    return new IsthmusError(
      'PACKAGE_UNAVAILABLE',
      `no source delivered ${this.#request.sha256}: ${tried.join('; ') || 'there is none'}`,
    );
  }

  async #trySource(source: Source): Promise<Fetched | undefined> {
    // A mixed body that turns out wrong is asked for again from the same place, this time the whole of it.
    for (;;) {
      if (this.#alone) await this.#restart();
      try {
        const sizeBytes = await this.#receive(source);
        await this.#commit(sizeBytes);
        return { from: source.node, sizeBytes, failed: this.#failed };
      } catch (thrown) {
        const again = await this.#judge(source, thrown);
        if (!again) return undefined;
      }
    }
  }

  /** Decides what a failure means; true when the same place gets another try at once. */
  async #judge(source: Source, thrown: unknown): Promise<boolean> {
    this.#request.signal.throwIfAborted();
    if (thrown instanceof TargetFailure) throw thrown.cause;
    const error = IsthmusError.from(thrown, 'SOURCE_FAILED');
    const { code, message } = error;
    const leftOut = this.#leftOut.has(source.node);
    if (code === 'PACKAGE_HASH_MISMATCH' && !leftOut && !this.#onlyFrom(source)) {
      this.#alone = true;
      return true;
    }
    if (this.#failed.length < MOST_FAILURES_KEPT) this.#failed.push({ node: source.node, code, detail: message });
    if (code === 'PACKAGE_HASH_MISMATCH' && !leftOut) {
      this.#leaveOut(source, error);
      await this.#restart();
    }
    return false;
  }

  async #commit(sizeBytes: number): Promise<void> {
    try {
      await this.#request.target.commit({ sha256: this.#request.sha256, sizeBytes });
    } catch (thrown) {
      const wrong = thrown instanceof IsthmusError && thrown.code === 'PACKAGE_HASH_MISMATCH';
      throw wrong ? thrown : new TargetFailure(thrown);
    }
  }

  #onlyFrom(source: Source): boolean {
    return [...this.#contributors].every((contributor) => contributor === source.node);
  }

  /** Receives to the end of the body; answers the blob's size. */
  async #receive(source: Source): Promise<number> {
    const { target, open, signal, sha256, onProgress } = this.#request;
    const answer = await open(source, target.bytes, signal);
    try {
      await this.#agreeOnSize(answer.sizeBytes, source);
      for await (const chunk of answer.body) {
        this.#contributors.add(source.node);
        await this.#onTarget(() => target.write(chunk));
        onProgress?.({ bytes: target.bytes, sizeBytes: answer.sizeBytes, from: source.node });
      }
    } finally {
      answer.close();
    }
    if (target.bytes !== answer.sizeBytes) {
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', `${sha256} has ${target.bytes} of ${answer.sizeBytes} bytes`);
    }
    return answer.sizeBytes;
  }

  async #agreeOnSize(sizeBytes: number, source: Source): Promise<void> {
    const { sizeBytes: expected, target, sha256, onSize } = this.#request;
    if (expected !== undefined && sizeBytes !== expected) {
      // Not one byte of it was taken, so it is this source alone that is wrong.
      const what = `${sha256} has ${expected} bytes, the source says ${sizeBytes}`;
      const error = new IsthmusError('PACKAGE_HASH_MISMATCH', what);
      this.#leaveOut(source, error);
      throw error;
    }
    if (this.#sizeBytes !== undefined && this.#sizeBytes !== sizeBytes) {
      this.#contributors.add(source.node);
      this.#sizeBytes = undefined;
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', 'the sources do not agree on the size');
    }
    if (target.bytes > sizeBytes)
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', 'there are more bytes here than it has');
    if (this.#sizeBytes === undefined) await this.#onTarget(async () => onSize?.(sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  #leaveOut({ node }: Source, error: IsthmusError): void {
    this.#leftOut.add(node);
    this.#request.demotions.demote(node);
    this.#request.onWrongSource(node, error);
  }

  async #restart(): Promise<void> {
    if (this.#request.target.bytes > 0) await this.#onTarget(() => this.#request.target.restart());
    this.#contributors.clear();
    this.#sizeBytes = this.#request.sizeBytes;
  }

  /** What goes wrong on this side is no source's fault and ends the fetch. */
  async #onTarget(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (thrown) {
      throw new TargetFailure(thrown);
    }
  }
}

class TargetFailure extends Error {
  constructor(cause: unknown) {
    super('the target failed', { cause });
  }
}
