// What a delta may cost. All bounds follow from the sizes of both versions, which are known before a patch is read.

/** The bytes of the version that is there, and of the one that is wanted. */
export interface DeltaSizes {
  readonly baseBytes: number;
  readonly targetBytes: number;
}

/** Of each version. Two of this size take about 1.1 GB of memory for the seconds of the encoding. */
export const MOST_CONTENT_BYTES = 256 * 1024 ** 2;
/** A larger patch saves too little. */
export const MOST_SHARE = 0.6;

/** The window of zstd, which the largest content allowed and its base fit into. */
const LARGEST_WINDOW_LOG = 31;
/**
 * The encoder's table has 2^n slots: with fewer than one for two bytes of the base it forgets where the base begins.
 * Of large ones, most bytes are found by one of six.
 */
const HASH_LOG = { least: 17, most: 25, bytesPerSlot: 2 };
/** Of the two tables, one of the base and one of the work. */
const BYTES_PER_SLOT = 10;
/** What others need, too. */
const SHARE_OF_MEMORY = 0.5;

/** To ask, and to start a worker. */
const DELTA_MS = 300;
/** What each kind of work gets done of a package file: estimates from runs of `bench delta` on a small machine. */
const BYTES_PER_MS = { apply: 50_000, encode: 15_000, repack: 12_000 };

interface Alternatives {
  readonly fileBytes: number;
  /** Of the line. */
  readonly bytesPerS: number;
  /** What has to be done for the delta, beside applying it. */
  readonly also?: 'encode' | 'repack' | undefined;
}

/** Whether a delta takes less time than the whole file on a line that was measured. */
export function isWorthwhile({ fileBytes, bytesPerS, also }: Alternatives): boolean {
  const workMs = fileBytes / BYTES_PER_MS.apply + (also === undefined ? 0 : fileBytes / BYTES_PER_MS[also]);
  return DELTA_MS + workMs < (1000 * fileBytes) / bytesPerS;
}

/** The logarithm of the window that reaches from the end of the target to the beginning of the base. */
export function windowLogOf({ baseBytes, targetBytes }: DeltaSizes): number {
  return Math.min(LARGEST_WINDOW_LOG, Math.ceil(Math.log2(baseBytes + targetBytes + 1)) + 1);
}

/** The logarithm of the number of slots that the encoder's table has. */
export function hashLogOf({ baseBytes }: DeltaSizes): number {
  const log = Math.ceil(Math.log2(Math.max(1, baseBytes / HASH_LOG.bytesPerSlot)));
  return Math.min(HASH_LOG.most, Math.max(HASH_LOG.least, log));
}

/** Whether the contents are small enough. */
export function isAllowed({ baseBytes, targetBytes }: DeltaSizes): boolean {
  return Math.max(baseBytes, targetBytes) <= MOST_CONTENT_BYTES;
}

/** Whether this process may take the memory for both now. */
export function isAffordable(sizes: DeltaSizes, availableBytes = process.availableMemory()): boolean {
  const { baseBytes, targetBytes } = sizes;
  const neededBytes = 2 * baseBytes + targetBytes + BYTES_PER_SLOT * 2 ** hashLogOf(sizes);
  return neededBytes <= SHARE_OF_MEMORY * availableBytes;
}
