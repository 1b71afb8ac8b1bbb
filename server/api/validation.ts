// Validates requests against their TypeBox schemas. Nothing in a body is coerced or removed. Path and query are text,
// so numbers and booleans are parsed from it.
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import type { FastifyRequest, FastifySchemaCompiler } from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import { violationOf, type Described } from './violations.ts';

/** Fastify's validator compiler. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  // Headers are checked where they are used, since a missing If-Match has its own status; bytes pass as a stream.
  if (httpPart === 'headers' || (schema as Described).format === 'binary') return () => true;
  const validator = Compile(schema);
  return (sent: unknown) => {
    const value = httpPart === 'body' ? sent : fromText(schema, sent);
    if (validator.Check(value)) return { value };
    return { error: violationOf(schema, value) };
  };
};

/** Plain decimal. Any other spelling of a number stays text, which the schema rejects. */
const WHOLE_NUMBER = /^-?(?:0|[1-9]\d{0,14})$/;

/** Path or query with its whole numbers and booleans parsed. */
function fromText(schema: TSchema, sent: unknown): unknown {
  const { properties } = schema as Described;
  if (properties === undefined || typeof sent !== 'object' || sent === null) return sent;
  const read = (name: string, value: unknown): unknown => {
    if (typeof value !== 'string' || !Object.hasOwn(properties, name)) return value;
    const type = properties[name]?.type;
    if (type === 'integer' && WHOLE_NUMBER.test(value)) return Number(value);
    if (type === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
    return value;
  };
  return Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, read(name, value)]));
}

/** Rejects a query or a body that the route's schema does not describe, like any unknown field. */
export function rejectUndescribed(request: FastifyRequest): void {
  const { querystring, body } = request.routeOptions.schema ?? {};
  if (querystring === undefined) rejectAnyField(request.query);
  // Only JSON: routes that take other bytes read them themselves.
  if (body === undefined && request.bodySha256 !== null && request.body !== undefined) rejectAnyField(request.body);
}

function rejectAnyField(sent: unknown): void {
  if (typeof sent !== 'object' || sent === null || Array.isArray(sent)) {
    throw new IsthmusError('INVALID_FIELD', 'the body must be an object, or left out');
  }
  const [field] = Object.keys(sent);
  if (field !== undefined) throw new IsthmusError('INVALID_FIELD', `${field} is not a known field`, { field });
}
