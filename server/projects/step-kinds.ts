// What a project needs to know about step kinds: how to check a step, and which package it installs. The rest of a kind
// is its handler in server/deployments/steps/.
import type { TObject } from 'typebox';
import type { PinnedPackage, ProcessStep } from '../store/projects/process.ts';

export interface StepKind<Step extends ProcessStep = ProcessStep> {
  /** The `kind` of its steps. */
  readonly kind: string;
  /** A whole step of this kind, without additional properties: `kind`, the contract's `STEP_FIELDS`, its own fields. */
  readonly schema: TObject;
  /** The package that a release pins for the step; the step has a folder for it on its machines. */
  packageId?(step: Step): string;
  /** Throws INVALID_FIELD when the step cannot use the package that a release would pin for it. */
  checkPackage?(step: Step, pinned: PinnedPackage): void;
}

export interface StepKinds {
  /** The names of all kinds, for messages. */
  readonly kinds: readonly string[];
  find(kind: string): StepKind | undefined;
}
