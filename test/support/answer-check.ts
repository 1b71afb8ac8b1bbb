// Checks every answer of an API that runs in the test's own process against what its operation says: status, headers
// and body, where a field that the schema does not have is a fault. Import it before the API is made.
import { subscribe } from 'node:diagnostics_channel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Errors, type XSchema } from 'typebox/schema';
import { afterEach, expect } from 'vitest';
import { PROBLEM_ANSWERS } from '../../contract/http.ts';

interface DescribedAnswer {
  readonly type?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

const faults = new Set<string>();

subscribe('fastify.initialization', (message) => {
  const { fastify } = message as { readonly fastify: FastifyInstance };
  fastify.addHook('onSend', (request, reply, payload, done) => {
    const fault = faultIn(request, reply, payload);
    if (fault !== undefined) {
      faults.add(`${request.method} ${request.routeOptions.url ?? request.url}: ${reply.statusCode} ${fault}`);
    }
    done();
  });
});

afterEach(() => {
  const found = [...faults];
  faults.clear();
  expect(found).toEqual([]);
});

/** What is wrong with an answer; undefined when nothing is. */
export function faultIn(request: FastifyRequest, reply: FastifyReply, payload: unknown): string | undefined {
  const { config, schema } = request.routeOptions;
  const described = schema as { readonly hide?: boolean; readonly response?: Record<string, DescribedAnswer> };
  if (config.access === undefined || described.hide === true) return undefined;
  const type = String(reply.getHeader('content-type') ?? '').split(';')[0]!;
  const family = `${String(reply.statusCode)[0]}XX`;
  const own = described.response?.[reply.statusCode];
  const isProblem = type === 'application/problem+json';
  const answer = isProblem ? (PROBLEM_ANSWERS as Readonly<Record<string, DescribedAnswer>>)[family] : own;
  if (answer === undefined) return 'is not described';
  return faultInHeaders(answer, reply, isProblem) ?? faultInBody(answer, type, payload);
}

const checkedHeaders = ['allow', 'content-disposition', 'etag', 'location', 'retry-after', 'www-authenticate'];

/** Problems have headers now and then; every other answer always has those that are described. */
function faultInHeaders(answer: DescribedAnswer, reply: FastifyReply, mayLack: boolean): string | undefined {
  const described = new Set(Object.keys(answer.headers ?? {}).map((name) => name.toLowerCase()));
  for (const name of checkedHeaders) {
    if (reply.hasHeader(name) && !described.has(name)) return `has ${name}, which is not described`;
    if (!reply.hasHeader(name) && described.has(name) && !mayLack) return `has no ${name}`;
  }
  return undefined;
}

function faultInBody(answer: DescribedAnswer, type: string, payload: unknown): string | undefined {
  // An answer with status 204 is sent without a body, whatever it was given.
  if (answer.type === 'null') return undefined;
  const content = answer.content?.[type];
  if (content === undefined) return `is of type "${type}", which is not described`;
  if (type === 'application/octet-stream') return undefined;
  const [fits, errors] = Errors(closed(content.schema) as XSchema, JSON.parse(String(payload)));
  return fits ? undefined : errors.map(({ instancePath, message }) => `${instancePath} ${message}`).join('; ');
}

/** The schema without room for fields that it does not name. */
export function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const copy = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return copy['type'] === 'object' && 'properties' in copy ? { additionalProperties: false, ...copy } : copy;
}
