// The context and the report of a bench, and statistics for it.

/** A number, or null where it could not be measured; a note then says why. */
export type Figure = number | string | null;

export interface BenchReport {
  readonly figures: Readonly<Record<string, Figure>>;
  readonly rivals: Readonly<Record<string, Figure>>;
  readonly notes: readonly string[];
}

export interface BenchContext {
  /** Run within a minute, with fewer rounds and smaller bodies. */
  readonly quick: boolean;
  /** Prints a line of progress. */
  readonly say: (line: string) => void;
}

export type Bench = (context: BenchContext) => Promise<BenchReport>;

/** The value below which the share `p` (0 to 1) of the samples lies; the median by default. */
export function percentile(samples: readonly number[], p = 0.5): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
  if (value === undefined) throw new Error('no samples');
  return value;
}

/** A number rounded to significant digits. */
export function rounded(value: number, digits = 3): number {
  return Number(value.toPrecision(digits));
}
