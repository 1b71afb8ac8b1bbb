// The stored form of what a project deploys: an ordered process, and the packages that a release pins for it.
import type { PackageFormat } from '../../../contract/packages.ts';

/** The fields common to all steps. Only the handler of a step's kind reads the rest. */
export interface ProcessStep {
  /** A slug, unique in the process. */
  readonly name: string;
  /** The step's kind. */
  readonly kind: string;
  readonly targetRoles: readonly string[];
  readonly timeLimitS?: number;
  readonly stage?: 'beforeAcquisition';
  /** The one machine on which a step before acquisition runs. */
  readonly machine?: string;
}

export interface PinnedPackage {
  /** The name of the step it is for. */
  readonly step: string;
  readonly id: string;
  readonly version: string;
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly format: PackageFormat;
  /** Absent where it cannot be unpacked, or was not measured when it was pushed. */
  readonly unpackedBytes?: number;
  readonly entries?: number;
  /** Of a package that is one file on a machine, unless it is unpacked. */
  readonly fileName?: string;
}
