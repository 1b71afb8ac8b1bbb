// Checks requests against their TypeBox schemas. Bodies are taken as they are: nothing is coerced, nothing is removed.
// Path, query and headers are text, so there numbers and booleans are read from it.
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import type { FastifyRequest, FastifySchemaCompiler } from 'fastify';
import { IsthmusError } from '../../lib/errors.ts';
import { PATTERNS_IN_WORDS } from '../../contract/schema.ts';

interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

/** Fastify's validator compiler. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const validator = Compile(schema);
  return (sent: unknown) => {
    const value = httpPart === 'body' ? sent : fromText(schema, sent);
    if (validator.Check(value)) return { value };
    return { error: toError(validator.Errors(value)) };
  };
};

/**
 * Plain decimal, as a number is written; what else a program may take for one is left as the text it is, and refused.
 */
const wholeNumber = /^-?(?:0|[1-9]\d{0,14})$/;

/** Path, query and headers with their whole numbers and booleans read. */
function fromText(schema: TSchema, sent: unknown): unknown {
  const { properties } = schema as { readonly properties?: Readonly<Record<string, { readonly type?: string }>> };
  if (properties === undefined || typeof sent !== 'object' || sent === null) return sent;
  const read = (name: string, value: unknown): unknown => {
    if (typeof value !== 'string' || !Object.hasOwn(properties, name)) return value;
    const type = properties[name]?.type;
    if (type === 'integer' && wholeNumber.test(value)) return Number(value);
    if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
    return value;
  };
  return Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, read(name, value)]));
}

/**
 * For routes whose schema describes no query, or no body: what is sent all the same is refused as any unknown field is.
 */
export function refuseUndescribed(request: FastifyRequest): void {
  const { querystring, body } = request.routeOptions.schema ?? {};
  if (querystring === undefined) refuseAnyOf(request.query);
  // Only JSON: routes that take other bytes read them themselves.
  if (body === undefined && request.bodySha256 !== null && request.body !== undefined) refuseAnyOf(request.body);
}

function refuseAnyOf(sent: unknown): void {
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) {
    throw new IsthmusError('INVALID_FIELD', 'the body must be an object, or left out');
  }
  const [field] = Object.keys(sent);
  if (field !== undefined) throw new IsthmusError('INVALID_FIELD', `${field} is not a known field`, { field });
}

function toError(violations: readonly Violation[]): IsthmusError {
  // The deepest place says most: of a union every branch complains, and the union itself last and highest.
  const [worst] = violations.toSorted((a, b) => depth(b) - depth(a));
  if (worst === undefined) return new IsthmusError('INVALID_FIELD', 'the request does not fit its schema');
  const field = fieldOf(worst);
  return new IsthmusError('INVALID_FIELD', sentenceFor(worst, field), { field: field === '' ? undefined : field });
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
