// The check of answers finds everything that an operation does not describe.
import { Type } from 'typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { describe, expect, it } from 'vitest';
import { json, noContent } from '../../contract/http.ts';
import { faultIn } from '../support/answer-check.ts';

const Inner = Type.Object({ b: Type.Optional(Type.String()) });
const Thing = Type.Object({ a: Type.Integer(), inner: Type.Array(Inner) }, { $id: 'Thing' });
const response = { 200: json('A thing.', Thing, 'ETag'), 204: noContent('Gone.') };

function fault(status: number, headers: Record<string, string>, body: unknown): string | undefined {
  const sent: Record<string, string> = { 'content-type': 'application/json; charset=utf-8', ...headers };
  const request = { routeOptions: { config: { access: 'viewer' }, schema: { response } } };
  const reply = {
    statusCode: status,
    getHeader: (name: string) => sent[name],
    hasHeader: (name: string) => name in sent,
  };
  return faultIn(request as unknown as FastifyRequest, reply as unknown as FastifyReply, JSON.stringify(body));
}

const problem = { type: 'x', title: 'x', status: 422, code: 'X', detail: 'x', remedy: 'x' };
const isProblem = { 'content-type': 'application/problem+json' };
const etag = { etag: '"1"' };

describe('an answer', () => {
  it.each([
    ['as described', 200, etag, { a: 1, inner: [{ b: 'x' }, {}] }],
    ['without a body', 204, {}, null],
    ['that is a problem', 422, isProblem, problem],
    ['that is a problem with a header', 429, { ...isProblem, 'retry-after': '1' }, { ...problem, status: 429 }],
  ])('%s is taken', (_, status, headers, body) => {
    expect(fault(status, headers, body)).toBeUndefined();
  });

  it.each([
    ['a field of another type', 200, etag, { a: 'x', inner: [] }, '/a must be integer'],
    ['a field missing', 200, etag, { a: 1 }, 'must have required properties inner'],
    ['a field too many', 200, etag, { a: 1, inner: [], c: 1 }, 'must not have additional properties'],
    ['a field too many inside', 200, etag, { a: 1, inner: [{ c: 1 }] }, '/inner/0'],
    ['a header missing', 200, {}, { a: 1, inner: [] }, 'has no etag'],
    ['a header too many', 200, { ...etag, location: '/x' }, { a: 1, inner: [] }, 'has location'],
    ['another status', 201, etag, { a: 1, inner: [] }, 'is not described'],
    ['another type', 200, { ...etag, 'content-type': 'text/plain' }, 'x', 'is of type "text/plain"'],
    ['a problem with more in it', 422, isProblem, { ...problem, stack: 'at x' }, 'must not have additional properties'],
    ['a problem on success', 200, isProblem, problem, 'is not described'],
  ])('with %s is a fault', (_, status, headers, body, expected) => {
    expect(fault(status, headers, body)).toContain(expected);
  });
});
