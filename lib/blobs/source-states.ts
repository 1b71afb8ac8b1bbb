// What a node has seen of its sources of packages: how fast they are, and which of them go last. A source that fails,
// is too slow or sends wrong bytes goes last until two probes in a row were good. A probe reads a little of the package
// that failed, at a random place, and compares it with the bytes that this node has by then. It makes no source fetch
// anything. Probes end after a while: what failed then has another try, and what had wrong bytes stays last until a
// fetch that names it gives the next package to probe.
import { randomInt } from 'node:crypto';
import { every } from '../async/background.ts';
import { IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import type { BlobAnswer, BlobPiece, PieceQuestion } from './blob-client.ts';
import type { BlobStore } from './blob-store.ts';
import type { BlobInfo } from './blob-writer.ts';
import { keyOf, nameOf, type Source } from './source.ts';

/** Opens a body of the package that a source was asked for. */
export type OpenSource = (source: Source, fromByte: number, signal: AbortSignal) => Promise<BlobAnswer>;

/** Reads a piece of the package that a source was asked for (`askForPiece`). */
export type ProbeSource = (
  source: Source,
  piece: Pick<PieceQuestion, 'fromByte' | 'mostBytes'>,
  signal: AbortSignal,
) => Promise<BlobPiece>;

/** A package, and how sources are probed by it. */
export interface ProbedPackage {
  readonly blob: BlobInfo;
  readonly probe: ProbeSource;
}

/** What has failed. */
export interface Failure extends ProbedPackage {
  readonly source: Source;
  readonly code: ErrorCode;
}

/** What there is to tell of one source: its name, or one path to it (`keyOf`). */
export interface SourceState {
  readonly source: string;
  /** 0 when it was not measured. */
  readonly bytesPerS: number;
  /** Milliseconds since 1970; 0 when it is not demoted. */
  readonly demotedAtMs: number;
  /** Why it is demoted. */
  readonly code: ErrorCode | '';
}

interface Demoted extends Failure {
  readonly atMs: number;
  /** By `performance.now()`. */
  readonly probedUntilMs: number;
  goodProbes: number;
}

export interface SourceStatesOptions {
  readonly log: Logger;
  /** The packages of this node. */
  readonly blobs?: Pick<BlobStore, 'open'> | undefined;
  readonly probeEveryMs?: number | undefined;
  /** How long after the failure, or the fetch, that gave the package. */
  readonly probeForMs?: number | undefined;
}

const PROBE_EVERY_MS = 30_000;
/** No longer than a download token is good. */
const PROBE_FOR_MS = 55 * 60_000;
const GOOD_PROBES = 2;
const PROBE_BYTES = 64 * 1024;
/** From the connection to the last of those bytes. */
const PROBE_TIMEOUT_MS = 10_000;
/** The time of a few packets says nothing of a line. */
const LEAST_MEASURED_BYTES = 256 * 1024;
/** The latest sources that are kept and told. */
const MOST_SOURCES = 64;

/** Answers about a package, by a source that answers again. */
const ABOUT_THE_PACKAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['FORBIDDEN', 'NOT_FOUND', 'PACKAGE_UNAVAILABLE']);

/** An answer without bytes proves nothing about these. */
const PROVED_BY_BYTES: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['PACKAGE_HASH_MISMATCH', 'SOURCE_SLOW']);

export class SourceStates {
  readonly #options: SourceStatesOptions;
  readonly #demoted = new Map<string, Demoted>();
  readonly #rates = new Map<string, number>();
  readonly #stopping = new AbortController();
  #stopProbes: (() => void) | undefined;
  #isProbing = false;

  constructor(options: SourceStatesOptions) {
    this.#options = options;
  }

  /** The sources in their order, demoted ones last. */
  order(sources: readonly Source[]): Source[] {
    const demoted = (source: Source) => this.#demoted.has(nameOf(source)) || this.#demoted.has(keyOf(source));
    return [...sources.filter((source) => !demoted(source)), ...sources.filter(demoted)];
  }

  /**
   * Puts a source behind the others. Wrong bytes are wrong on every path; any other failure may be that of one path.
   * That it does not have the package says nothing of the source.
   */
  failed(failure: Failure): void {
    const { source, code } = failure;
    // There is no other one beside it, and nothing to ask while the server offers nothing.
    if (source.kind === 'pushed' || ABOUT_THE_PACKAGE.has(code) || this.#stopping.signal.aborted) return;
    const key = code === 'PACKAGE_HASH_MISMATCH' ? nameOf(source) : keyOf(source);
    const atMs = this.#demoted.get(key)?.atMs ?? Date.now();
    keepLatest(this.#demoted, key, { ...failure, atMs, probedUntilMs: this.#probeEnd(), goodProbes: 0 });
    this.#startProbes();
  }

  /** A fetch may use these sources: where the probes of one have ended, they go on with its package. */
  named(sources: readonly Source[], { blob, probe }: ProbedPackage): void {
    for (const source of sources) {
      const demoted = this.#demoted.get(nameOf(source));
      if (demoted === undefined || isProbed(demoted) || this.#stopping.signal.aborted) continue;
      this.#demoted.set(nameOf(source), { ...demoted, source, blob, probe, probedUntilMs: this.#probeEnd() });
      this.#startProbes();
    }
  }

  /** Measures a source by what came in this time. */
  delivered(source: Source, { bytes, ms }: { readonly bytes: number; readonly ms: number }): void {
    if (bytes < LEAST_MEASURED_BYTES || ms <= 0) return;
    const rate = (1000 * bytes) / ms;
    const key = keyOf(source);
    const before = this.#rates.get(key) ?? rate;
    keepLatest(this.#rates, key, (before + rate) / 2);
  }

  /** Bytes per second of a source; undefined when it was not measured. */
  rateOf(source: Source): number | undefined {
    return this.#rates.get(keyOf(source));
  }

  /** Every source that was measured or is demoted. */
  all(): SourceState[] {
    const sources = [...new Set([...this.#demoted.keys(), ...this.#rates.keys()])];
    return sources.map((source) => {
      const demoted = this.#demoted.get(source);
      const bytesPerS = Math.round(this.#rates.get(source) ?? 0);
      return { source, bytesPerS, demotedAtMs: demoted?.atMs ?? 0, code: demoted?.code ?? '' };
    });
  }

  /** Ends the probes. */
  stop(): void {
    this.#stopping.abort(new IsthmusError('CANCELLED', 'this node is stopping'));
    this.#stopProbes?.();
  }

  #probeEnd(): number {
    return performance.now() + (this.#options.probeForMs ?? PROBE_FOR_MS);
  }

  #startProbes(): void {
    const { log, probeEveryMs = PROBE_EVERY_MS } = this.#options;
    this.#stopProbes ??= every(probeEveryMs, 'source.probe', log, () => this.#probeAll());
  }

  async #probeAll(): Promise<void> {
    if (this.#isProbing) return;
    this.#isProbing = true;
    await Promise.all([...this.#demoted].map(([key, demoted]) => this.#probe(key, demoted)));
    this.#isProbing = false;
    for (const [key, demoted] of this.#demoted) {
      if (!isProbed(demoted) && demoted.code !== 'PACKAGE_HASH_MISMATCH') this.#demoted.delete(key);
    }
    if ([...this.#demoted.values()].some(isProbed)) return;
    this.#stopProbes?.();
    this.#stopProbes = undefined;
  }

  async #probe(key: string, demoted: Demoted): Promise<void> {
    if (!isProbed(demoted)) return;
    const isGood = await this.#isGood(demoted);
    if (isGood === undefined) return;
    demoted.goodProbes = isGood ? demoted.goodProbes + 1 : 0;
    // It may have failed anew meanwhile.
    if (demoted.goodProbes < GOOD_PROBES || this.#demoted.get(key) !== demoted) return;
    this.#demoted.delete(key);
    this.#options.log.info({ source: key }, 'a source of packages works again');
  }

  /** Undefined when the answer proves nothing. */
  async #isGood(failure: Failure): Promise<boolean | undefined> {
    const { source, blob, probe } = failure;
    const signal = AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
    const fromByte = blob.sizeBytes > PROBE_BYTES ? randomInt(blob.sizeBytes - PROBE_BYTES) : 0;
    try {
      const piece = await probe(source, { fromByte, mostBytes: PROBE_BYTES }, signal);
      return piece.sizeBytes === blob.sizeBytes && (await this.#isRight(failure, piece));
    } catch (thrown) {
      if (!ABOUT_THE_PACKAGE.has(IsthmusError.from(thrown).code)) return false;
      return PROVED_BY_BYTES.has(failure.code) ? undefined : true;
    }
  }

  /** Whether bytes are those that this node has at their place. Without them wrong bytes cannot be told from others. */
  async #isRight({ blob, code }: Failure, { fromByte, bytes }: BlobPiece): Promise<boolean | undefined> {
    const own = await this.#options.blobs?.open(blob.sha256);
    if (own === undefined) return code === 'PACKAGE_HASH_MISMATCH' ? undefined : true;
    try {
      const { buffer } = await own.file.read(Buffer.alloc(bytes.length), 0, bytes.length, fromByte);
      return buffer.equals(bytes);
    } finally {
      await own.file.close();
    }
  }
}

function isProbed({ probedUntilMs }: Demoted): boolean {
  return performance.now() < probedUntilMs;
}

function keepLatest<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > MOST_SOURCES && oldest !== undefined) map.delete(oldest);
}
