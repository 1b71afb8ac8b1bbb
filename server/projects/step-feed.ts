// The package source that a step names, on a machine. It may be a variable, so that sites and environments differ.
import { IsthmusError } from '../../contract/errors.ts';
import type { PackageStep } from '../../contract/projects.ts';
import { substitute, type Variables } from '../../lib/templates/substitution.ts';

/** Undefined when the step names none there. VARIABLE_UNDEFINED for a variable without a value. */
export function feedOf({ name, feed = '' }: Pick<PackageStep, 'name' | 'feed'>, values: Variables): string | undefined {
  const { text, unresolved } = substitute(feed, values);
  const [missing] = unresolved;
  if (missing !== undefined) {
    throw new IsthmusError('VARIABLE_UNDEFINED', `the feed of step ${name}: ${missing.text}`, { field: 'feed' });
  }
  return text === '' ? undefined : text;
}
