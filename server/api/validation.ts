// Checks requests against their TypeBox schemas. Bodies are taken as they are: nothing is coerced, nothing is removed.
// Path, query and headers are text, so there numbers and booleans are read from it.
import { Compile } from 'typebox/compile';
import type { TSchema } from 'typebox';
import type { FastifyRequest, FastifySchemaCompiler } from 'fastify';
import { IsthmusError } from '../../contract/errors.ts';
import { violationOf, type Described } from './violations.ts';

/** Fastify's validator compiler. */
export const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  // Headers are read where they are used, since a missing If-Match has a status of its own; bytes pass as a stream.
  if (httpPart === 'headers' || (schema as Described).format === 'binary') return () => true;
  const validator = Compile(schema);
  return (sent: unknown) => {
    const value = httpPart === 'body' ? sent : fromText(schema, sent);
    if (validator.Check(value)) return { value };
    return { error: violationOf(schema, value) };
  };
};

/**
 * Plain decimal, as a number is written; what else a program may take for one is left as the text it is, and refused.
 */
const WHOLE_NUMBER = /^-?(?:0|[1-9]\d{0,14})$/;

/** Path, query and headers with their whole numbers and booleans read. */
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
