// Validation errors: what is wrong with a request, as one sentence and a field.
import { Errors } from 'typebox/schema';
import { PATTERNS_IN_WORDS } from '../../contract/schema.ts';
import type { IsthmusError } from '../../contract/errors.ts';
import { violationError } from '../../lib/config/schema-violations.ts';

/** The parts of a schema that are read here. */
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

/** The INVALID_FIELD error, with its field, for a value that does not fit a schema. */
export function violationOf(schema: Described, value: unknown): IsthmusError {
  const [, violations] = Errors(narrowed(schema, value), value);
  return violationError(violations, { patterns: PATTERNS_IN_WORDS });
}

/**
 * The schema for this value: a union with a discriminator is replaced by the branch that the value names, since the
 * other branches would report errors in valid fields.
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
