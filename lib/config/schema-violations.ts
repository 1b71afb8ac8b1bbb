// Turns what TypeBox finds wrong with a value into one error that names the field and says what is wanted.
import { IsthmusError } from '../../contract/errors.ts';

/** As TypeBox reports it. */
export interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

interface Wording {
  /** What a pattern asks for, in words. */
  readonly patterns?: ReadonlyMap<unknown, string>;
  /** The fields that are known beside an unknown one; none for those that nobody may list. */
  readonly knownBeside?: (objectPath: string) => readonly string[];
}

/** INVALID_FIELD for the worst of the violations. */
export function violationError(violations: readonly Violation[], wording: Wording = {}): IsthmusError {
  // The deepest place says most: of a union every branch complains, and the union itself last and highest.
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

/** `/routes/0/via/1` as `routes[0].via[1]`, and the missing or unknown property itself where that is what is wrong. */
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
  const { keyword, instancePath, message, params } = violation;
  const place = field === '' ? 'the body' : field;
  if (keyword === 'required') return `${place} is missing`;
  if (keyword === 'additionalProperties' || keyword === 'boolean') {
    const objectPath = keyword === 'boolean' ? instancePath.slice(0, instancePath.lastIndexOf('/')) : instancePath;
    const known = knownBeside?.(objectPath) ?? [];
    return `${place} is not a known field${known.length === 0 ? '' : `; known are ${known.join(', ')}`}`;
  }
  const allowed: unknown = Object.getOwnPropertyDescriptor(params, 'allowedValues')?.value;
  if (keyword === 'enum' && Array.isArray(allowed)) return `${place} must be one of: ${allowed.join(', ')}`;
  const pattern: unknown = Object.getOwnPropertyDescriptor(params, 'pattern')?.value;
  return `${place} ${patterns?.get(pattern) ?? message}`;
}
