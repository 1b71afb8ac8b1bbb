// What a project needs to know of the types of steps: how a step is checked, and which package it installs. A type is
// more than that: server/deployments/steps/ has its handler.
import { Type, type TObject } from 'typebox';
import { isSlug } from '../../lib/ids.ts';
import type { ProcessStep } from '../store/projects/process.ts';

const LONGEST_TIME_LIMIT_S = 7 * 86_400;

const Slug = Type.Refine(
  Type.String(),
  isSlug,
  () => 'must have lower-case letters, digits and, between them, hyphens: 1 to 63',
);

/** The fields of every step but `kind`, for the schema of a type. */
export const stepFields = {
  name: Slug,
  targetRoles: Type.Array(Slug, { maxItems: 100, default: [] }),
  timeLimitS: Type.Optional(Type.Integer({ minimum: 1, maximum: LONGEST_TIME_LIMIT_S })),
};

export interface StepType<Step extends ProcessStep = ProcessStep> {
  /** What a step's `kind` says. */
  readonly type: string;
  /** A whole step of this type, closed: `kind`, `stepFields`, and what is its own. Defaults are filled in. */
  readonly schema: TObject;
  /** The package that a release pins for the step, and for which it has a folder on its machines. */
  packageId?(step: Step): string;
}

export interface StepTypes {
  /** The types that there are, for messages. */
  readonly types: readonly string[];
  find(type: string): StepType | undefined;
}
