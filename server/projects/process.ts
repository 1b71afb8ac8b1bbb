// Checks a project's process: an ordered list of steps, each valid for its kind, with unique slugs as names.
import type { TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { IsthmusError } from '../../contract/errors.ts';
import { MOST_STEPS } from '../../contract/projects.ts';
import { PATTERNS_IN_WORDS } from '../../contract/schema.ts';
import { violationError } from '../../lib/config/schema-violations.ts';
import type { ProcessStep } from '../store/projects/process.ts';
import type { StepKinds } from './step-kinds.ts';

/** The steps in `input` with their defaults. INVALID_FIELD with the path of the first wrong field. */
export function checkProcess(input: unknown, kinds: StepKinds): ProcessStep[] {
  if (!Array.isArray(input) || input.length > MOST_STEPS) {
    throw invalid('steps', `must be a list of at most ${MOST_STEPS} steps`);
  }
  const steps = input.map((step, index) => checkStep(step, index, kinds));
  const seen = new Set<string>();
  for (const [index, { name }] of steps.entries()) {
    if (seen.has(name)) throw invalid(`steps[${index}].name`, `is not unique: there are two steps named ${name}`);
    seen.add(name);
  }
  checkStages(steps);
  return steps;
}

/** Steps before acquisition stand first; of them alone, one may name the machine that runs it for all. */
function checkStages(steps: readonly ProcessStep[]): void {
  const others = steps.findIndex(({ stage }) => stage === undefined);
  for (const [index, { stage, machine, targetRoles }] of steps.entries()) {
    const field = `steps[${index}]`;
    if (stage !== undefined && others !== -1 && others < index) {
      const first = steps[others]!.name;
      throw invalid(`${field}.stage`, `comes too late: steps before acquisition stand first, and ${first} is none`);
    }
    if (machine === undefined) continue;
    if (stage === undefined) throw invalid(`${field}.machine`, 'needs "stage: beforeAcquisition" beside it');
    if (targetRoles.length > 0) throw invalid(`${field}.targetRoles`, `has no effect: the step runs on ${machine}`);
  }
}

function checkStep(input: unknown, index: number, kinds: StepKinds): ProcessStep {
  const field = `steps[${index}]`;
  if (typeof input !== 'object' || input === null) throw invalid(field, 'must be an object');
  const name: unknown = 'kind' in input ? input.kind : undefined;
  const kind = typeof name === 'string' ? kinds.find(name) : undefined;
  if (kind === undefined) throw invalid(`${field}.kind`, `must be one of: ${kinds.kinds.join(', ')}`);
  const { schema } = kind;
  const step = Value.Default(schema, structuredClone(input));
  if (!Value.Check(schema, step)) {
    const path = `/steps/${index}`;
    const violations = Value.Errors(schema, step).map((each) => ({ ...each, instancePath: path + each.instancePath }));
    const knownBeside = (at: string): readonly string[] => fieldsAt(schema, at.slice(path.length));
    throw violationError(violations, { patterns: PATTERNS_IN_WORDS, knownBeside });
  }
  // Every kind's schema includes the fields common to all steps.
  const checked = step as unknown as Omit<ProcessStep, 'targetRoles'> & Partial<Pick<ProcessStep, 'targetRoles'>>;
  return { ...checked, targetRoles: [...new Set(checked.targetRoles)] };
}

/** The fields of the object at `path` (a JSON pointer) of a value of this schema. */
function fieldsAt(schema: TSchema, path: string): readonly string[] {
  const at = path
    .split('/')
    .slice(1)
    .reduce<Described | undefined>((part, key) => part?.properties?.[key] ?? part?.items, schema);
  return Object.keys(at?.properties ?? {});
}

interface Described {
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
}

function invalid(field: string, message: string): IsthmusError {
  return new IsthmusError('INVALID_FIELD', `${field} ${message}`, { field });
}
