// Turns TypeBox's violations into one INVALID_FIELD error that names the field and what is expected.
import { IsthmusError } from '../../contract/errors.ts';
import { requirementOf } from './requirements.ts';

/** A violation as TypeBox reports it. */
export interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

interface Wording {
  /** Patterns in words. */
  readonly patterns?: ReadonlyMap<unknown, string>;
  /** The known fields of the object with an unknown one; empty where they must not be listed. */
  readonly knownBeside?: (objectPath: string) => readonly string[];
}

/** INVALID_FIELD for the worst of the violations. */
export function violationError(violations: readonly Violation[], wording: Wording = {}): IsthmusError {
  // The deepest violation is the most specific: for a union, every branch and the union itself report one.
  const [worst] = violations.toSorted((a, b) => depth(b) - depth(a));
  if (worst === undefined) return new IsthmusError('INVALID_FIELD', 'the request does not fit its schema');
  const field = fieldOf(worst);
  return new IsthmusError('INVALID_FIELD', sentenceFor(worst, field, wording), {
    field: field === '' ? undefined : field,
  });
}

function depth({ instancePath }: Violation): number {
  return instancePath.split('/').length;
}

/** `/routes/0/via/1` as `routes[0].via[1]`, with the missing or unknown property appended. */
function fieldOf(violation: Violation): string {
  const path = violation.instancePath.split('/').slice(1).map(unescapePointer);
  const named = namedProperty(violation);
  if (named !== undefined) path.push(named);
  return path.reduce((field, part) => {
    if (/^\d+$/.test(part)) return `${field}[${part}]`;
    return field === '' ? part : `${field}.${part}`;
  }, '');
}

function namedProperty({ keyword, params }: Violation): string | undefined {
  const list = keyword === 'required' ? 'requiredProperties' : keyword === 'additionalProperties' ? keyword : undefined;
  if (list === undefined) return undefined;
  const names: unknown = Object.getOwnPropertyDescriptor(params, list)?.value;
  return Array.isArray(names) ? String(names[0]) : undefined;
}

function unescapePointer(part: string): string {
  return part.replaceAll('~1', '/').replaceAll('~0', '~');
}

function sentenceFor(violation: Violation, field: string, { patterns, knownBeside }: Wording): string {
  const { keyword, instancePath, params } = violation;
  const subject = field === '' ? 'the body' : field;
  if (keyword === 'required') return `${subject} is missing`;
  if (keyword === 'additionalProperties' || keyword === 'boolean') {
    const objectPath = keyword === 'boolean' ? instancePath.slice(0, instancePath.lastIndexOf('/')) : instancePath;
    const known = knownBeside?.(objectPath) ?? [];
    return `${subject} is not a known field${known.length === 0 ? '' : `; known are ${known.join(', ')}`}`;
  }
  const allowed: unknown = Object.getOwnPropertyDescriptor(params, 'allowedValues')?.value;
  if (keyword === 'enum' && Array.isArray(allowed)) return `${subject} must be one of: ${allowed.join(', ')}`;
  const pattern: unknown = Object.getOwnPropertyDescriptor(params, 'pattern')?.value;
  return `${subject} ${patterns?.get(pattern) ?? requirementOf(violation, field)}`;
}
