// The description of the API: tools accept the OpenAPI document, and docs/api.md lists the same operations with the
// same roles.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { startApi } from './api.ts';

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly 'x-role'?: string;
  readonly parameters?: readonly { readonly in: string; readonly name: string }[];
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
  };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly tags: readonly { readonly name: string }[];
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

async function document(): Promise<OpenApi> {
  const api = await startApi();
  return (await api.call('GET', '/api/v1/openapi.json')).body as unknown as OpenApi;
}

/** Every operation by its method and path below /api/v1. */
function operationsOf({ paths }: OpenApi): Map<string, Operation> {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path.replace(/^\/api\/v1/, '')}`,
      operation,
    ]),
  );
  return new Map(operations);
}

it('the document passes an OpenAPI linter', async () => {
  const file = join(await tempDir(), 'openapi.json');
  await writeFile(file, JSON.stringify(await document()));
  const cli = join(dirname(createRequire(import.meta.url).resolve('@redocly/cli/package.json')), 'bin/cli.js');
  const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  const lint = promisify(execFile)(process.execPath, [cli, 'lint', '--format=json', file], { env });
  const { stdout } = await lint.catch((failure: { stdout: string }) => failure);
  const { totals, problems } = JSON.parse(stdout) as { readonly totals: object; readonly problems: unknown };
  expect(problems).toEqual([]);
  expect(totals).toEqual({ errors: 0, warnings: 0, ignored: 0 });
});

it('every operation has a unique id, a summary and a tag with a description', async () => {
  const described = await document();
  const known = new Set(described.tags.map(({ name }) => name));
  const names = new Set<string>();
  for (const [name, { operationId = '', summary = '', tags = [] }] of operationsOf(described)) {
    expect(operationId, name).toMatch(/^[a-z][A-Za-z]+$/);
    expect(names, operationId).not.toContain(operationId);
    names.add(operationId);
    expect(summary, name).toMatch(/^[A-Z].{3,}[^.]$/);
    expect(
      tags.map((tag) => known.has(tag)),
      name,
    ).toEqual([true]);
  }
});

it('every request body is a named schema', async () => {
  const described = await document();
  for (const [name, { requestBody }] of operationsOf(described)) {
    const schema = requestBody?.content['application/json']?.schema;
    if (schema === undefined) continue;
    const [, named = ''] = /^#\/components\/schemas\/(\w+)$/.exec(schema.$ref ?? '') ?? [];
    expect(described.components.schemas, name).toHaveProperty(named);
  }
});

it('a step is a script or a package, with its kind as discriminator', async () => {
  const { schemas } = (await document()).components;
  for (const [union, script, pack] of [
    ['ProcessStep', 'ScriptStep', 'PackageStep'],
    ['NewProcessStep', 'NewScriptStep', 'NewPackageStep'],
  ] as const) {
    const refer = (name: string) => `#/components/schemas/${name}`;
    expect(schemas[union]).toEqual({
      oneOf: [{ $ref: refer(script) }, { $ref: refer(pack) }],
      discriminator: { propertyName: 'kind', mapping: { script: refer(script), package: refer(pack) } },
    });
  }
});

it('streams and bytes have a type', async () => {
  const operations = operationsOf(await document());
  expect(operations.get('GET /tasks/{id}/events')!.responses[200]).toMatchObject({
    content: { 'text/event-stream': { schema: { $ref: '#/components/schemas/TaskEvent' } } },
  });
  const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } };
  expect(operations.get('GET /packages/{id}/versions/{version}/content')!.responses[200]).toMatchObject({
    content: bytes,
  });
  expect(operations.get('POST /packages')!.requestBody).toMatchObject({ content: bytes });
});

it('docs/api.md lists every operation with its role, and no other', async () => {
  const page = await readFile(new URL('../../docs/api.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `([A-Z]+ \S+)` +\| (\w+) +\|/gm)].map(([, operation, role]) => [
    operation,
    role,
  ]);
  const operations = [...operationsOf(await document())].map(([name, operation]) => [name, operation['x-role']]);
  expect(listed.toSorted()).toEqual(operations.toSorted());
});

it('every operation describes its problem documents', async () => {
  for (const [name, { responses }] of operationsOf(await document())) {
    for (const family of ['4XX', '5XX']) {
      expect(responses[family], name).toMatchObject({
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      });
    }
  }
});
