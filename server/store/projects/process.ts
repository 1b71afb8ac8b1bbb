// What a project deploys, as it is stored: an ordered process, and the packages a release pinned for it.

/** What every step has. The rest belongs to its type, whose handler alone reads it. */
export interface ProcessStep {
  /** A slug, unique in the process. */
  readonly name: string;
  /** The step's type. */
  readonly kind: string;
  readonly targetRoles: readonly string[];
  readonly timeLimitS?: number;
}

export interface PinnedPackage {
  /** The name of the step it is for. */
  readonly step: string;
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: 'tar.gz' | 'zip' | 'nupkg';
}
