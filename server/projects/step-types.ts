// What a project needs to know about step types: how to check a step, and which package it installs. The rest of a type
// is its handler in server/deployments/steps/.
import type { TObject } from 'typebox';
import type { ProcessStep } from '../store/projects/process.ts';

export interface StepType<Step extends ProcessStep = ProcessStep> {
  /** The `kind` of its steps. */
  readonly type: string;
  /** A whole step of this type, without additional properties: `kind`, the contract's `STEP_FIELDS`, its own fields. */
  readonly schema: TObject;
  /** The package that a release pins for the step; the step has a folder for it on its machines. */
  packageId?(step: Step): string;
}

export interface StepTypes {
  /** The names of all types, for messages. */
  readonly types: readonly string[];
  find(type: string): StepType | undefined;
}
