// What is wrong with a request, as one sentence with the field in which it is.
import { Errors } from 'typebox/schema';
import { PATTERNS_IN_WORDS } from '../../contract/schema.ts';
import { IsthmusError } from '../../lib/errors.ts';

/** What is read of a schema here. */
export interface Described {
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly format?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly prefixItems?: readonly Described[];
  readonly anyOf?: readonly Described[];
  readonly discriminator?: { readonly propertyName: string };
}

interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

/** What is wrong with a value that does not fit a schema: INVALID_FIELD with the field. */
export function violationOf(schema: Described, value: unknown): IsthmusError {
  const [, violations] = Errors(narrowed(schema, value), value);
  // The deepest says most: of a union without a discriminator every branch complains, and the union itself last.
  const [worst] = violations.toSorted((a, b) => depth(b) - depth(a));
  if (worst === undefined) return new IsthmusError('INVALID_FIELD', 'the request does not fit its schema');
  const field = fieldOf(worst);
  return new IsthmusError('INVALID_FIELD', sentenceFor(worst, field), { field: field === '' ? undefined : field });
}

/**
 * The schema as it is for this value: of a union with a discriminator the branch that the value names. The other
 * branches would complain, too, of fields that are right.
 */
function narrowed(schema: Described, value: unknown): Described {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? schema : { ...schema, prefixItems: value.map((each) => narrowed(items, each)) };
  }
  if (typeof value !== 'object' || value === null) return schema;
  const branch = schema.discriminator === undefined ? schema : branchFor(schema, schema.discriminator, value);
  const properties = Object.entries(branch.properties ?? {}).map(([name, property]) => {
    const own: unknown = Object.getOwnPropertyDescriptor(value, name)?.value;
    return [name, narrowed(property, own)] as const;
  });
  return properties.length === 0 ? branch : { ...branch, properties: Object.fromEntries(properties) };
}

function branchFor(
  { anyOf = [] }: Described,
  { propertyName }: NonNullable<Described['discriminator']>,
  value: object,
): Described {
  const literal = (branch: Described) => branch.properties?.[propertyName]?.const;
  const named: unknown = Object.getOwnPropertyDescriptor(value, propertyName)?.value;
  const known: Described = { properties: { [propertyName]: { enum: anyOf.map(literal) } }, required: [propertyName] };
  return anyOf.find((branch) => literal(branch) === named) ?? known;
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

function sentenceFor({ keyword, message, params }: Violation, field: string): string {
  const place = field === '' ? 'the body' : field;
  if (keyword === 'required') return `${place} is missing`;
  if (keyword === 'additionalProperties' || keyword === 'boolean') return `${place} is not a known field`;
  const allowed: unknown = Object.getOwnPropertyDescriptor(params, 'allowedValues')?.value;
  if (keyword === 'enum' && Array.isArray(allowed)) return `${place} must be one of: ${allowed.join(', ')}`;
  const pattern: unknown = Object.getOwnPropertyDescriptor(params, 'pattern')?.value;
  return `${place} ${PATTERNS_IN_WORDS.get(pattern) ?? message}`;
}
