// What a project needs to know about step kinds: how to check a step, and which package it installs. The rest of a kind
// is its handler in server/deployments/steps/.
import { Type, type TObject } from 'typebox';
import { SLUG_IN_WORDS } from '../../contract/patterns.ts';
import { isSlug } from '../../lib/ids.ts';
import type { ProcessStep } from '../store/projects/process.ts';

const LONGEST_TIME_LIMIT_S = 7 * 86_400;

const Slug = Type.Refine(Type.String(), isSlug, () => SLUG_IN_WORDS);

/** The fields common to all steps, except `kind`: for the schema of a kind. */
export const STEP_FIELDS = {
  name: Slug,
  targetRoles: Type.Array(Slug, { maxItems: 100, default: [] }),
  timeLimitS: Type.Optional(Type.Integer({ minimum: 1, maximum: LONGEST_TIME_LIMIT_S })),
};

export interface StepKind<Step extends ProcessStep = ProcessStep> {
  /** The `kind` of its steps. */
  readonly kind: string;
  /** A whole step of this kind, without additional properties: `kind`, `STEP_FIELDS`, its own fields, with defaults. */
  readonly schema: TObject;
  /** The package that a release pins for the step; the step has a folder for it on its machines. */
  packageId?(step: Step): string;
}

export interface StepKinds {
  /** The names of all kinds, for messages. */
  readonly kinds: readonly string[];
  find(kind: string): StepKind | undefined;
}
