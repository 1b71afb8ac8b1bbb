// Checks requests against their TypeBox schemas. Bodies are taken as they are: nothing is coerced, nothing is removed.
// Path, query and headers are text, so there numbers and booleans are read from it.
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import type { FastifySchemaCompiler } from 'fastify';
import { IsthmusError } from '../../lib/errors.ts';

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
    const value = httpPart === 'body' ? sent : validator.Convert(sent);
    if (validator.Check(value)) return { value };
    return { error: toError(validator.Errors(value)) };
  };
};

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

function sentenceFor({ keyword, message }: Violation, field: string): string {
  const place = field === '' ? 'the body' : field;
  if (keyword === 'required') return `${place} is missing`;
  if (keyword === 'additionalProperties' || keyword === 'boolean') return `${place} is not a known field`;
  return `${place} ${message}`;
}
