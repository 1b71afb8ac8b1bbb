// Every operation of the OpenAPI document against every kind of bad request: each answers a status below 500, a code of
// the catalogue and the field where there is one, reveals no internals, and changes nothing. Driven by the document, so
// that it covers every new route.
import { expect, it } from 'vitest';
import { ERROR_CATALOGUE, isErrorCode, IsthmusError } from '../../contract/errors.ts';
import { createRelease } from '../../server/projects/releases.ts';
import { stepHandlers } from '../../server/task-kinds.ts';
import type { ApiServices } from '../../server/api/context.ts';
import { setParents } from '../../server/topology/desired-parents.ts';
import { startApi, type Answer, type TestApi } from './api.ts';

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly minimum?: number;
}

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly schema: Schema;
}

interface Described {
  readonly 'x-role': 'public' | 'viewer' | 'operator' | 'admin';
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

interface Operation extends Described {
  readonly method: string;
  readonly path: string;
  readonly name: string;
}

interface Site {
  readonly api: TestApi;
  readonly operations: readonly Operation[];
  /** The operation's path with ids that exist. */
  url(operation: Operation): string;
}

type Call = Parameters<TestApi['call']>[2];

async function site(): Promise<Site> {
  const nothing = () => Promise.reject(new IsthmusError('NOT_FOUND', 'there is none'));
  const setNodeParents: ApiServices['setParents'] = (tx, id, wanted, actor) => {
    const { topology } = api;
    return setParents(tx, id, { ...wanted, topology, serverAddress: '10.0.0.1:8444' }, actor);
  };
  const api: TestApi = await startApi({
    revokeNode: nothing,
    reactivateNode: nothing,
    eventSubscriptions: () => Promise.resolve([]),
    healthChecks: () => ({ intervalS: 300, lastRoundAt: null, outdatedBefore: 1 }),
    setParents: setNodeParents,
    packageVersions: nothing,
    findPackage: nothing,
    deletePackage: nothing,
    prunePackages: nothing,
  });
  const make = async (path: string, body: object, headers = {}) =>
    (await api.call('POST', `/api/v1${path}`, { body, headers })).body;
  await make('/sites', { id: 'eu' });
  await make('/environments', { id: 'eu' });
  await api.store.transaction(async (tx) => {
    const parents = [{ node: 'server', dialAddress: null }];
    await tx.nodes.insert({ id: 'eu', role: 'tentacle', site: 'eu', parents, createdAt: 1 });
    const routes = [{ kind: 'direct' as const }];
    const machine = { id: 'eu', name: 'eu', site: 'eu', environments: ['eu'], targetRoles: ['web'], routes };
    await tx.machines.insert({ ...machine, createdAt: 1 });
  });
  await make('/projects', { id: 'eu' });
  const step = { name: 'hello', kind: 'script', script: { interpreter: 'bash', body: 'true' } };
  const putProcess = { body: { steps: [step] }, headers: { 'if-match': '"1"' } };
  await api.call('PUT', '/api/v1/projects/eu/process', putProcess);
  const variable = await make('/projects/eu/variables', { name: 'Greeting', value: 'hello' });
  const release = await api.store.transaction((tx) =>
    createRelease(tx, stepHandlers(), 'eu', { version: '1' }, 'key-1'),
  );
  const task = await make('/scripts', { body: 'true', machines: ['eu'] });
  const key = await make('/api-keys', { name: 'spare', role: 'viewer' });
  const { paths } = inlined((await api.call('GET', '/api/v1/openapi.json')).body) as {
    readonly paths: Record<string, Record<string, Described>>;
  };
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => {
      const upper = method.toUpperCase();
      return { ...described, method: upper, path, name: `${upper} ${path}` };
    }),
  );
  await make('/package-sources', { kind: 'mesh', id: 'near', node: 'server' });
  const ids: Record<string, string> = {
    ...{ tasks: String(task.id), releases: release.id, 'api-keys': String(key.id), 'package-sources': 'near' },
  };
  return {
    api,
    operations,
    url: ({ path }) =>
      path
        .replace('{variable}', String(variable.id))
        .replace('{version}', '1')
        .replace('{id}', ids[path.split('/')[3] ?? ''] ?? 'eu'),
  };
}

/** The document with every reference replaced by its schema. */
function inlined(document: Readonly<Record<string, unknown>>): unknown {
  const { schemas } = document['components'] as { readonly schemas: Readonly<Record<string, unknown>> };
  const inline = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inline);
    if (typeof value !== 'object' || value === null) return value;
    const { $ref } = value as { readonly $ref?: string };
    if ($ref !== undefined) return inline(schemas[$ref.split('/').at(-1)!]);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, inline(each)]));
  };
  return inline(document);
}

/** What is wrong with an answer that should be an error; undefined when it is one. */
function fault(
  answer: Answer,
  expected: { codes?: readonly string[]; field?: string | undefined },
): string | undefined {
  const { status, body, text, headers } = answer;
  const code = String(body.code);
  if (status < 400 || status >= 500) return `answered ${status} ${text.slice(0, 200)}`;
  if (!isErrorCode(code) || ERROR_CATALOGUE[code].http !== status) return `${status} with code ${code}`;
  if (!/^application\/problem\+json/.test(headers.get('content-type') ?? '')) return 'is no problem document';
  if (/node_modules|\.ts:\d|at .*\(|SQLITE/.test(text)) return `shows the inside: ${text}`;
  if (expected.codes !== undefined && !expected.codes.includes(code)) return `${code}, not ${expected.codes.join('/')}`;
  if (expected.field !== undefined && body.field !== expected.field)
    return `names ${body.field}, not ${expected.field}`;
  return undefined;
}

class Attempts {
  readonly #site: Site;
  readonly #faults: string[] = [];
  #made = 0;

  constructor(at: Site) {
    this.#site = at;
  }

  async rejected(
    operation: Operation,
    what: string,
    call: Call & { readonly query?: string; readonly url?: string; readonly method?: string },
    expected: Parameters<typeof fault>[1] = {},
  ): Promise<void> {
    const { query = '', url = this.#site.url(operation), method = operation.method, ...rest } = call;
    this.#made += 1;
    const answer = await this.#site.api.call(method, `${url}${query}`, rest);
    const wrong = fault(answer, expected);
    if (wrong !== undefined) this.#faults.push(`${operation.name} ${what}: ${wrong}`);
  }

  /** There were requests, all of them failed, and nothing has changed. */
  async end(before: string): Promise<void> {
    expect(this.#faults).toEqual([]);
    expect(this.#made).toBeGreaterThan(0);
    expect(await this.#site.api.snapshot()).toBe(before);
    for (const service of ['createToken', 'pushPackage', 'openPackage', 'ping', 'trace']) {
      expect(this.#site.api.calls.get(service), service).toBeUndefined();
    }
  }
}

async function attempt(work: (at: Site, attempts: Attempts) => Promise<void>): Promise<void> {
  const at = await site();
  const before = await at.api.snapshot();
  const attempts = new Attempts(at);
  await work(at, attempts);
  await attempts.end(before);
}

const changing: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
const takesBytes = ({ name }: Operation) => name === 'POST /api/v1/packages';
const bodySchema = ({ requestBody }: Operation) => requestBody?.content['application/json']?.schema;
const parametersOf = ({ parameters = [] }: Operation, where: Parameter['in']) =>
  parameters.filter((parameter) => parameter.in === where);

const deep = `{"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
const badBodies: readonly [string, string | Uint8Array, string][] = [
  ['a body cut short', '{"id":"x"', 'MALFORMED_BODY'],
  ['a key twice', '{"id":"x","id":"y"}', 'MALFORMED_BODY'],
  ['__proto__', '{"__proto__":{"admin":true}}', 'MALFORMED_BODY'],
  ['10,000 levels', deep, 'MALFORMED_BODY'],
  ['invalid UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), 'MALFORMED_BODY'],
  ['NUL', '{"id":\u0000}', 'MALFORMED_BODY'],
  ['2 MB', JSON.stringify({ x: 'x'.repeat(2_000_000) }), 'BODY_TOO_LARGE'],
];
const badTypes = [
  'text/plain',
  'application/xml',
  'multipart/form-data; boundary=x',
  'application/jsonx',
  'garbage',
  '',
];

it('rejects what is not JSON, or not declared as JSON', () =>
  attempt(async ({ operations }, attempts) => {
    for (const operation of operations.filter((each) => changing.has(each.method) && !takesBytes(each))) {
      for (const [what, raw, code] of badBodies) await attempts.rejected(operation, what, { raw }, { codes: [code] });
      for (const type of badTypes) {
        const call = { raw: '{"id":"x"}', headers: { 'content-type': type } };
        await attempts.rejected(operation, `type "${type}"`, call, { codes: ['UNSUPPORTED_MEDIA_TYPE'] });
      }
    }
  }));

it('rejects bodies that do not fit the schema, with the field', () =>
  attempt(async ({ operations }, attempts) => {
    const codes = ['INVALID_FIELD'];
    for (const operation of operations.filter((each) => changing.has(each.method) && !takesBytes(each))) {
      for (const raw of ['null', '[]', '"text"', '7', 'true']) {
        await attempts.rejected(operation, raw, { raw }, { codes });
      }
      const field = 'unknownField';
      await attempts.rejected(operation, 'an unknown field', { body: { [field]: 1 } }, { codes });
      for (const [name, { type }] of Object.entries(bodySchema(operation)?.properties ?? {})) {
        const wrong = type === 'object' || type === undefined ? 7 : { nested: [] };
        await attempts.rejected(operation, `${name} of another type`, { body: { [name]: wrong } }, { codes });
      }
    }
  }));

it('rejects unknown and malformed queries', () =>
  attempt(async ({ operations }, attempts) => {
    const codes = ['INVALID_FIELD'];
    for (const operation of operations.filter(({ path }) => path.startsWith('/api/v1'))) {
      for (const [query, field] of [
        ['?unknown=1', 'unknown'],
        ['?__proto__=1', '__proto__'],
        ['?constructor=1', 'constructor'],
      ] as const) {
        const call = takesBytes(operation)
          ? { query, headers: { 'content-type': 'application/octet-stream' } }
          : { query };
        await attempts.rejected(operation, query, call, { codes, field });
      }
      for (const { name, schema } of parametersOf(operation, 'query')) {
        if (takesBytes(operation)) continue;
        const numbers = ['-1', '1e3', '1.5', 'ten', '', 'NaN', '0x10', '٣', '9'.repeat(400)];
        if (schema.minimum === 1) numbers.push('0', '1000000000');
        const values = schema.type === 'integer' ? numbers : [];
        if (name === 'cursor' && !operation.path.includes('/packages/'))
          values.push('%00', 'bm9uc2Vuc2U', ...forgedCursors);
        for (const value of values) {
          await attempts.rejected(
            operation,
            `${name}=${value}`,
            { query: `?${name}=${value}` },
            { codes, field: name },
          );
        }
        await attempts.rejected(operation, `${name} twice`, { query: `?${name}=1&${name}=2` }, { codes, field: name });
      }
    }
  }));

/** Cursors of the right form with wrong content. */
const forgedCursors = [null, [], {}, [null], [[]], ['a', 'b', 'c', 'd'], [{}, {}], 'text'].map((keys) =>
  Buffer.from(JSON.stringify(keys)).toString('base64url'),
);

it('finds nothing at paths with odd ids', () =>
  attempt(async (at, attempts) => {
    const odd = [
      'nowhere',
      '%00',
      '%ff',
      '..%2f..%2fetc',
      'x'.repeat(300),
      '%C3%A9t%C3%A9',
      'a%0Ab',
      '%F0%9F%98%80',
      "'%20or%201=1--",
    ];
    const codes = ['NOT_FOUND', 'INVALID_FIELD', 'METHOD_NOT_ALLOWED'];
    for (const operation of at.operations.filter((each) => parametersOf(each, 'path').length > 0)) {
      for (const { name } of parametersOf(operation, 'path')) {
        for (const id of odd) {
          const url = at.url({ ...operation, path: operation.path.replace(`{${name}}`, id) });
          const body = validBodies[operation.name];
          const headers = { 'if-match': '"1"' };
          await attempts.rejected(operation, id, { url, headers, ...(body === undefined ? {} : { body }) }, { codes });
        }
      }
    }
  }));

/** Valid bodies for requests with a wrong path. */
const validBodies: Readonly<Record<string, object>> = {
  'PATCH /api/v1/sites/{id}': { name: 'Europe' },
  'PATCH /api/v1/environments/{id}': { name: 'Europe' },
  'PATCH /api/v1/machines/{id}': { name: 'one' },
  'PUT /api/v1/nodes/{id}/parents': { parents: [{ node: 'server' }] },
  'PATCH /api/v1/projects/{id}': { name: 'Shop' },
  'PUT /api/v1/projects/{id}/process': { steps: [] },
  'POST /api/v1/projects/{id}/variables': { name: 'Other', value: 'x' },
  'PATCH /api/v1/projects/{id}/variables/{variable}': { value: 'x' },
  'POST /api/v1/projects/{id}/releases': { version: '2' },
};

it('denies requests without a key, with a wrong one, or with one of too low a role', () =>
  attempt(async ({ api, operations }, attempts) => {
    const below = { viewer: [], operator: [api.keys.viewer], admin: [api.keys.viewer, api.keys.operator] } as const;
    for (const operation of operations) {
      const role = operation['x-role'];
      if (role === 'public') continue;
      for (const key of [null, api.keys.admin.slice(0, -1), 'isk_x', 'é'.normalize('NFD').slice(0, 1)]) {
        await attempts.rejected(operation, `key ${key}`, { key }, { codes: ['UNAUTHENTICATED', 'RESOURCE_EXHAUSTED'] });
      }
      for (const key of below[role])
        await attempts.rejected(operation, 'a lower role', { key }, { codes: ['FORBIDDEN'] });
    }
  }));

/** Resources without versions: they never change. */
const unversioned = new Set([
  'DELETE /api/v1/api-keys/{id}',
  'DELETE /api/v1/packages/{id}/versions/{version}',
  'DELETE /api/v1/releases/{id}',
  'DELETE /api/v1/tokens/{id}',
]);

const takesHeader = (operation: Operation, name: string) =>
  parametersOf(operation, 'header').some((parameter) => parameter.name === name);

it('changes only the version that was read', () =>
  attempt(async ({ operations }, attempts) => {
    for (const operation of operations) {
      const versioned = ['PATCH', 'PUT', 'DELETE'].includes(operation.method) && !unversioned.has(operation.name);
      expect(takesHeader(operation, 'If-Match'), operation.name).toBe(versioned);
      if (!versioned) continue;
      const body = validBodies[operation.name];
      const send = (etag: string | undefined, code: string) =>
        attempts.rejected(
          operation,
          `If-Match ${etag}`,
          { headers: etag === undefined ? {} : { 'if-match': etag }, ...(body === undefined ? {} : { body }) },
          { codes: [code, 'IN_USE'] },
        );
      await send(undefined, 'PRECONDITION_REQUIRED');
      const wrong = ['*', '1', 'W/"1"', '""', '"one"', '"-1"', '"1", "2"', '"99999"', `"${'9'.repeat(400)}"`];
      for (const etag of wrong) await send(etag, 'PRECONDITION_FAILED');
    }
  }));

it('rejects malformed Idempotency-Keys', () =>
  attempt(async ({ operations }, attempts) => {
    for (const operation of operations.filter((each) => takesHeader(each, 'Idempotency-Key'))) {
      expect(operation.method).toBe('POST');
      if (operation.requestBody) continue;
      for (const key of ['', 'two words', 'x'.repeat(256), 'é']) {
        const headers = { 'idempotency-key': key };
        const expected = { codes: ['INVALID_FIELD'], field: 'Idempotency-Key' };
        await attempts.rejected(operation, `Idempotency-Key "${key.slice(0, 20)}"`, { headers }, expected);
      }
    }
  }));

it('names the methods of a path when another is tried', () =>
  attempt(async ({ operations }, attempts) => {
    for (const [path, own] of Map.groupBy(operations, (each) => each.path)) {
      const known = own.map(({ method }) => method);
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'GET'].filter(
        (each) => !known.includes(each),
      )) {
        await attempts.rejected({ ...own[0]!, path }, `by ${method}`, { method }, { codes: ['METHOD_NOT_ALLOWED'] });
      }
    }
  }));

it('answers HEAD as GET, without a body', async () => {
  const at = await site();
  for (const operation of at.operations.filter(({ method }) => method === 'GET')) {
    if (operation.path.endsWith('/events') && operation.path.includes('{id}')) continue;
    const [head, get] = [await at.api.call('HEAD', at.url(operation)), await at.api.call('GET', at.url(operation))];
    expect(`${operation.name} ${head.status} ${head.text}`).toBe(`${operation.name} ${get.status} `);
  }
});

it('rejects a Last-Event-ID that the stream never had', () =>
  attempt(async ({ operations }, attempts) => {
    const stream = operations.find(({ name }) => name === 'GET /api/v1/tasks/{id}/events')!;
    for (const id of ['-1', 'abc', '1.5', '1e9', '0x1', '9'.repeat(30), '1 or 1=1', '"1"']) {
      const expected = { codes: ['INVALID_FIELD'], field: 'Last-Event-ID' };
      await attempts.rejected(stream, id, { headers: { 'last-event-id': id } }, expected);
    }
  }));
