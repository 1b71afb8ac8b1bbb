// Fetches one blob from an ordered list of sources: each source resumes by range where the last one stopped. Sources
// are not trusted; the digest is checked.
// A source that is too slow is left for the next one; the fastest of slow ones is left later and later. The fetch ends
// when all of them together bring less than the lowest floor, time and again.
//
// Bytes of several answers may be mixed. When a mixed body has the wrong digest, the culprit is unknown: from then on
// each answer must be the whole blob, and a source whose whole answer is wrong is excluded.
import { setTimeout as delay } from 'node:timers/promises';
import { backoffMs } from '../async/backoff.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import {
  FLOORS,
  ProgressFloor,
  reaches,
  TooSlow,
  type Floor,
  type Floors,
  type SlowSpell,
  type SourceClass,
} from './progress-floor.ts';
import { keyOf, nameOf, type Source } from './source.ts';
import type { OpenSource, ProbeSource, SourceStates } from './source-states.ts';

export interface FailedSource {
  /** The name of the source. */
  readonly node: string;
  readonly code: ErrorCode;
  readonly detail: string;
}

/** Where the bytes go. */
export interface FetchTarget {
  /** Bytes that it has, from the beginning of the blob, and no more than the blob has. */
  readonly bytes: number;
  write(chunk: Buffer): Promise<void>;
  /** Drops every byte. */
  restart(): Promise<void>;
  /** Accepts the blob as whole; PACKAGE_HASH_MISMATCH when its bytes have another digest. */
  commit(expected: { readonly sha256: string; readonly sizeBytes: number }): Promise<unknown>;
}

/** Called for a source that is left because it was too slow. */
export type OnSlowSource = (source: string, spell: SlowSpell & { readonly sha256: string }) => void;
export type OnWrongSource = (source: string, error: IsthmusError) => void;

export interface FetchRequest {
  readonly sha256: string;
  readonly sizeBytes: number;
  /** Nearest first. */
  readonly sources: readonly Source[];
  readonly target: FetchTarget;
  readonly open: OpenSource;
  readonly probe: ProbeSource;
  readonly states: SourceStates;
  readonly signal: AbortSignal;
  readonly onProgress?: ((progress: { readonly bytes: number; readonly from: string }) => void) | undefined;
  /** Called for a source with wrong bytes, which is asked no more. */
  readonly onWrongSource: OnWrongSource;
  readonly onSlowSource?: OnSlowSource | undefined;
  readonly floors?: Floors | undefined;
  /** Limit of rounds through the list that bring less than the lowest floor. */
  readonly rounds?: number | undefined;
}

export interface Fetched {
  /** The source that delivered the last byte; empty when the target had every byte before. */
  readonly from: string;
  readonly failed: readonly FailedSource[];
}

const DEFAULT_ROUNDS = 4;
const BACKOFF = { baseMs: 200, capMs: 5_000, factor: 3, jitter: 'half' } as const;

/** Fetches the blob into the target. PACKAGE_UNAVAILABLE, with each source's reason, when no source delivers it. */
export async function fetchBlob(request: FetchRequest): Promise<Fetched> {
  const fetching = new Fetching(request);
  try {
    return (await fetching.completeTarget()) ?? (await fetchInRounds(fetching, request));
  } catch (thrown) {
    throw thrown instanceof TargetFailure ? thrown.cause : thrown;
  }
}

async function fetchInRounds(fetching: Fetching, request: FetchRequest): Promise<Fetched> {
  const { rounds = DEFAULT_ROUNDS, floors = FLOORS, sha256, sizeBytes, probe } = request;
  request.states.named(request.sources, { blob: { sha256, sizeBytes }, probe });
  let pauses = 0;
  let since = performance.now();
  for (let fruitless = 0; fruitless < rounds; pauses += 1) {
    const outcome = await fetching.round();
    if (outcome.end === 'whole') return outcome.fetched;
    if (outcome.end === 'hopeless') break;
    const now = performance.now();
    // Bytes arrived, so a path works: longer pauses would only slow the fetch down.
    if (reaches(floors.lowest, { bytes: outcome.bytes, ms: now - since })) [fruitless, pauses] = [0, 0];
    else fruitless += 1;
    since = now;
    if (fruitless < rounds) await delay(backoffMs(pauses, BACKOFF), undefined, { signal: request.signal });
  }
  throw fetching.unavailable();
}

type Round =
  | { readonly end: 'whole'; readonly fetched: Fetched }
  | { readonly end: 'cut'; /** How many came that count. */ readonly bytes: number }
  | { readonly end: 'hopeless' };

/** A source that was too slow although none was faster is left after this many times the usual time, at most. */
const LARGEST_FLOOR_FACTOR = 32;
/** A long fetch over a bad line fails often; the first failures are enough. */
const MOST_FAILURES_KEPT = 32;
const MOST_REASONS_SHOWN = 8;

class Fetching {
  readonly #request: FetchRequest;
  readonly #failed: FailedSource[] = [];
  /** Why each source failed last. */
  readonly #reasons = new Map<string, IsthmusError>();
  readonly #excluded = new Set<string>();
  /** Answers whose bytes are in the target; bytes from before the fetch count as one. */
  #answers: number;
  #alone = false;
  /** Bytes per millisecond of the sources that were too slow, 0 of those that failed. */
  readonly #rates = new Map<string, number>();
  #floorFactor = 2;

  constructor(request: FetchRequest) {
    this.#request = request;
    this.#answers = request.target.bytes > 0 ? 1 : 0;
  }

  /** Commits a target that has every byte already; empties it when they are wrong. */
  async completeTarget(): Promise<Fetched | undefined> {
    const { target, sizeBytes } = this.#request;
    if (target.bytes < sizeBytes) return undefined;
    try {
      await this.#commit();
      return { from: '', failed: this.#failed };
    } catch (thrown) {
      if (thrown instanceof TargetFailure) throw thrown;
      await this.#restart();
      return undefined;
    }
  }

  /** Tries each source once. */
  async round(): Promise<Round> {
    const { target, sources, states } = this.#request;
    const before = target.bytes;
    for (const source of this.#slowLast(states.order(sources))) {
      if (this.#excluded.has(nameOf(source))) continue;
      const fetched = await this.#trySource(source);
      if (fetched !== undefined) return { end: 'whole', fetched };
    }
    if (sources.every((source) => this.#excluded.has(nameOf(source)))) return { end: 'hopeless' };
    return { end: 'cut', bytes: this.#alone ? 0 : target.bytes - before };
  }

  unavailable(): IsthmusError {
    const reasons = [...this.#reasons].slice(-MOST_REASONS_SHOWN);
    const tried = reasons.map(([node, { code, message }]) => `${node}: ${code} (${message})`);
    return new IsthmusError(
      'PACKAGE_UNAVAILABLE',
      `no source delivered ${this.#request.sha256}: ${tried.join('; ') || 'there is none'}`,
      { cause: reasons.at(-1)?.[1] },
    );
  }

  async #trySource(source: Source): Promise<Fetched | undefined> {
    // After a wrong mixed body the same source gets another try, this time for the whole blob.
    for (;;) {
      if (this.#alone) await this.#restart();
      try {
        await this.#receive(source);
        await this.#commit();
        return { from: nameOf(source), failed: this.#failed };
      } catch (thrown) {
        const again = await this.#judge(source, thrown);
        if (!again) return undefined;
      }
    }
  }

  /** Decides what a failure means; true when the same source gets another try at once. */
  async #judge(source: Source, thrown: unknown): Promise<boolean> {
    this.#request.signal.throwIfAborted();
    if (thrown instanceof TargetFailure) throw thrown;
    const error = IsthmusError.from(thrown, 'SOURCE_FAILED');
    const { code, message } = error;
    const name = nameOf(source);
    this.#noteRate(source, thrown);
    const excluded = this.#excluded.has(name);
    if (code === 'PACKAGE_HASH_MISMATCH' && !excluded && this.#answers > 1) {
      this.#alone = true;
      return true;
    }
    // Behind those that failed before.
    this.#reasons.delete(name);
    this.#reasons.set(name, error);
    if (this.#failed.length < MOST_FAILURES_KEPT) this.#failed.push({ node: name, code, detail: message });
    const { states, sha256, sizeBytes, probe } = this.#request;
    states.failed({ source, code, blob: { sha256, sizeBytes }, probe });
    if (code === 'PACKAGE_HASH_MISMATCH' && !excluded) {
      this.#exclude(source, error);
      await this.#restart();
    }
    return false;
  }

  async #commit(): Promise<void> {
    const { target, sha256, sizeBytes } = this.#request;
    try {
      await target.commit({ sha256, sizeBytes });
    } catch (thrown) {
      const wrong = thrown instanceof IsthmusError && thrown.code === 'PACKAGE_HASH_MISMATCH';
      throw wrong ? thrown : new TargetFailure(thrown);
    }
  }

  /** Receives the rest of the body. */
  async #receive(source: Source): Promise<void> {
    const { target, open, states, signal, sizeBytes, onProgress } = this.#request;
    const since = { bytes: target.bytes, ms: performance.now() };
    const answer = await open(source, target.bytes, signal);
    let slow: SlowSpell | undefined;
    const floor = this.#floorFor(source, answer.sourceClass, (spell) => {
      slow = spell;
      answer.close();
    });
    try {
      this.#checkSize(answer.sizeBytes, source);
      this.#answers = target.bytes === 0 ? 1 : this.#answers + 1;
      floor.wait();
      for await (const chunk of answer.body) {
        floor.received(chunk.length);
        await this.#onTarget(() => target.write(chunk));
        onProgress?.({ bytes: target.bytes, from: nameOf(source) });
        // What becomes of the answer after its last byte does not matter.
        if (target.bytes === sizeBytes) break;
        floor.wait();
      }
    } catch (thrown) {
      throw slow === undefined ? thrown : new TooSlow(slow);
    } finally {
      floor.stop();
      answer.close();
      // What a mirror passes on is as fast as its own source.
      if (answer.sourceClass !== 'passed on') {
        states.delivered(source, { bytes: target.bytes - since.bytes, ms: performance.now() - since.ms });
      }
    }
  }

  /** Sources that were too slow come last, the fastest of them first. */
  #slowLast(sources: readonly Source[]): Source[] {
    const rate = (source: Source) => this.#rates.get(keyOf(source)) ?? 0;
    const [slow, others] = [sources.filter(rate), sources.filter((source) => rate(source) === 0)];
    return [...others, ...slow.sort((a, b) => rate(b) - rate(a))];
  }

  /** The lowest for a source that must deliver everything and has no better one beside it. */
  #floorFor(source: Source, sourceClass: SourceClass, onSlow: (spell: SlowSpell) => void): ProgressFloor {
    const { floors = FLOORS } = this.#request;
    const { bytes, withinMs } = floors[sourceClass];
    const isBest = this.#isBestKnown(source);
    if (isBest && this.#alone) return new ProgressFloor(floors.lowest, onSlow);
    const floor: Floor = { bytes, withinMs: isBest ? withinMs * this.#floorFactor : withinMs };
    if (isBest) this.#floorFactor = Math.min(2 * this.#floorFactor, LARGEST_FLOOR_FACTOR);
    return new ProgressFloor(floor, onSlow);
  }

  /** Whether every source was tried, and none of them was faster. */
  #isBestKnown(source: Source): boolean {
    const usable = this.#request.sources.filter((each) => !this.#excluded.has(nameOf(each)));
    const rate = this.#rates.get(keyOf(source)) ?? 0;
    return rate > 0 && usable.every((other) => (this.#rates.get(keyOf(other)) ?? Infinity) <= rate);
  }

  #noteRate(source: Source, thrown: unknown): void {
    const spell = thrown instanceof TooSlow ? thrown.spell : undefined;
    this.#rates.set(keyOf(source), spell === undefined ? 0 : spell.bytes / spell.ms);
    if (spell === undefined) return;
    this.#request.onSlowSource?.(nameOf(source), { ...spell, sha256: this.#request.sha256 });
  }

  #checkSize(said: number, source: Source): void {
    const { sha256, sizeBytes } = this.#request;
    if (said === sizeBytes) return;
    // None of its bytes were written, so only this source is wrong.
    const what = `${sha256} has ${sizeBytes} bytes, the source says ${said}`;
    const error = new IsthmusError('PACKAGE_HASH_MISMATCH', what);
    this.#exclude(source, error);
    throw error;
  }

  #exclude(source: Source, error: IsthmusError): void {
    this.#excluded.add(nameOf(source));
    this.#request.onWrongSource(nameOf(source), error);
  }

  async #restart(): Promise<void> {
    if (this.#request.target.bytes > 0) await this.#onTarget(() => this.#request.target.restart());
    this.#answers = 0;
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
