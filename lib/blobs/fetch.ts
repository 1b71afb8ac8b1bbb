// Fetches one blob from an ordered list of sources: each source resumes by range where the last one stopped. Sources are
// not trusted; the digest is checked.
//
// Bytes of several sources may be mixed. When a mixed body has the wrong digest, the culprit is unknown: from then on each
// source must deliver the whole blob, and one whose blob is wrong is excluded.
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
  /** Bytes that it has, from the beginning of the blob. */
  readonly bytes: number;
  write(chunk: Buffer): Promise<void>;
  /** Drops every byte. */
  restart(): Promise<void>;
  /** Accepts the blob as whole; PACKAGE_HASH_MISMATCH when its bytes have another digest. */
  commit(expected: { readonly sha256: string; readonly sizeBytes: number }): Promise<unknown>;
}

export type OnWrongSource = (node: string, error: IsthmusError) => void;

export interface FetchRequest {
  readonly sha256: string;
  /** The size, if known beforehand; else taken from the first answer. */
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
  /** Called for a source with wrong bytes, which is asked no more. */
  readonly onWrongSource: OnWrongSource;
  /** Limit of rounds through the list without a byte of progress. */
  readonly rounds?: number | undefined;
}

export interface Fetched {
  /** The source that delivered the last byte. */
  readonly from: string;
  readonly sizeBytes: number;
  readonly failed: readonly FailedSource[];
}

const DEFAULT_ROUNDS = 4;
const BACKOFF = { baseMs: 200, capMs: 5_000, factor: 3, jitter: 'half' } as const;

/** Fetches the blob into the target. PACKAGE_UNAVAILABLE, with each source's reason, when no source delivers it. */
export async function fetchBlob(request: FetchRequest): Promise<Fetched> {
  const fetching = new Fetching(request);
  const rounds = request.rounds ?? DEFAULT_ROUNDS;
  let pauses = 0;
  for (let fruitless = 0; fruitless < rounds; pauses += 1) {
    const outcome = await fetching.round();
    if (outcome.end === 'whole') return outcome.fetched;
    if (outcome.end === 'hopeless') break;
    // Bytes arrived, so a path works: longer pauses would only slow the fetch down.
    if (outcome.progressed) [fruitless, pauses] = [0, 0];
    else fruitless += 1;
    if (fruitless < rounds) await delay(backoffMs(pauses, BACKOFF), undefined, { signal: request.signal });
  }
  throw fetching.unavailable();
}

type Round =
  | { readonly end: 'whole'; readonly fetched: Fetched }
  | { readonly end: 'cut'; readonly progressed: boolean }
  | { readonly end: 'hopeless' };

/** Puts sources that failed recently behind the others. */
export class Demotions {
  readonly #until = new Map<string, number>();
  readonly #forMs: number;

  constructor(forMs = 5 * 60_000) {
    this.#forMs = forMs;
  }

  demote(node: string): void {
    this.#until.set(node, performance.now() + this.#forMs);
  }

  /** The sources in their order, demoted ones last. */
  order(sources: readonly Source[]): Source[] {
    const now = performance.now();
    const demoted = (source: Source) => (this.#until.get(source.node) ?? 0) > now;
    return [...sources.filter((source) => !demoted(source)), ...sources.filter(demoted)];
  }
}

/** Stands for bytes that were in the target before the fetch: they count as a source that may be wrong. */
const ON_DISK = '';
/** A long fetch over a bad line fails often; the first failures are enough. */
const MOST_FAILURES_KEPT = 32;

class Fetching {
  readonly #request: FetchRequest;
  readonly #failed: FailedSource[] = [];
  readonly #excluded = new Set<string>();
  readonly #contributors = new Set<string>();
  #alone = false;
  #sizeBytes: number | undefined;

  constructor(request: FetchRequest) {
    this.#request = request;
    this.#sizeBytes = request.sizeBytes;
    if (request.target.bytes > 0) this.#contributors.add(ON_DISK);
  }

  /** Tries each source once. */
  async round(): Promise<Round> {
    const { target, sources, demotions } = this.#request;
    const before = target.bytes;
    for (const source of demotions.order(sources)) {
      if (this.#excluded.has(source.node)) continue;
      const fetched = await this.#trySource(source);
      if (fetched !== undefined) return { end: 'whole', fetched };
    }
    if (sources.every((source) => this.#excluded.has(source.node))) return { end: 'hopeless' };
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
    // After a wrong mixed body the same source gets another try, this time for the whole blob.
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

  /** Decides what a failure means; true when the same source gets another try at once. */
  async #judge(source: Source, thrown: unknown): Promise<boolean> {
    this.#request.signal.throwIfAborted();
    if (thrown instanceof TargetFailure) throw thrown.cause;
    const error = IsthmusError.from(thrown, 'SOURCE_FAILED');
    const { code, message } = error;
    const excluded = this.#excluded.has(source.node);
    if (code === 'PACKAGE_HASH_MISMATCH' && !excluded && !this.#onlyFrom(source)) {
      this.#alone = true;
      return true;
    }
    if (this.#failed.length < MOST_FAILURES_KEPT) this.#failed.push({ node: source.node, code, detail: message });
    if (code === 'PACKAGE_HASH_MISMATCH' && !excluded) {
      this.#exclude(source, error);
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

  /** Receives the whole body; returns the blob's size. */
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
      // None of its bytes were written, so only this source is wrong.
      const what = `${sha256} has ${expected} bytes, the source says ${sizeBytes}`;
      const error = new IsthmusError('PACKAGE_HASH_MISMATCH', what);
      this.#exclude(source, error);
      throw error;
    }
    if (this.#sizeBytes !== undefined && this.#sizeBytes !== sizeBytes) {
      this.#contributors.add(source.node);
      this.#sizeBytes = undefined;
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', 'the sources do not agree on the size');
    }
    if (target.bytes > sizeBytes)
      throw new IsthmusError('PACKAGE_HASH_MISMATCH', 'the target has more bytes than the blob');
    if (this.#sizeBytes === undefined) await this.#onTarget(async () => onSize?.(sizeBytes));
    this.#sizeBytes = sizeBytes;
  }

  #exclude({ node }: Source, error: IsthmusError): void {
    this.#excluded.add(node);
    this.#request.demotions.demote(node);
    this.#request.onWrongSource(node, error);
  }

  async #restart(): Promise<void> {
    if (this.#request.target.bytes > 0) await this.#onTarget(() => this.#request.target.restart());
    this.#contributors.clear();
    this.#sizeBytes = this.#request.sizeBytes;
  }

  /** A failure of the target is no source's fault and ends the fetch. */
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
