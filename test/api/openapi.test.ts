// What the API says of itself: docs/api.md and the OpenAPI document name the same operations with the same roles.
import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { startApi } from './api.ts';

interface OpenApi {
  readonly paths: Record<string, Record<string, { 'x-role'?: string; responses: Record<string, unknown> }>>;
}

async function operations(): Promise<[string, string][]> {
  const api = await startApi();
  const { body } = await api.call('GET', '/api/v1/openapi.json');
  const { paths } = body as unknown as OpenApi;
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string] => [
      `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`,
      operation['x-role'] ?? 'missing',
    ]),
  );
}

it('docs/api.md lists every operation with its role, and no other', async () => {
  const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `([A-Z]+ \S+)` +\| (\w+) +\|/gm)].map(([, operation, role]) => [
    operation,
    role,
  ]);
  expect(listed.toSorted()).toEqual((await operations()).toSorted());
});

it('every operation tells of problem documents', async () => {
  const api = await startApi();
  const { body } = await api.call('GET', '/api/v1/openapi.json');
  for (const methods of Object.values((body as unknown as OpenApi).paths)) {
    for (const operation of Object.values(methods)) {
      expect(JSON.stringify(operation.responses.default)).toContain('application/problem+json');
    }
  }
});
