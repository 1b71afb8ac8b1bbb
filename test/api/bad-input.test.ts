// A bad request gets an error code and the field, changes nothing, and reveals no internals.
import { connect } from 'node:net';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERROR_CATALOGUE, isErrorCode } from '../../contract/errors.ts';
import { startApi, type Answer, type TestApi } from './api.ts';

const sites = '/api/v1/sites';

/** Checks an error answer: status and code agree, it is a problem document, and nothing changed. */
async function rejects(api: TestApi, send: () => Promise<Answer>, code: string, field?: string): Promise<void> {
  const before = await api.snapshot();
  const answer = await send();
  expect(answer.body).toMatchObject({ code, type: `urn:isthmus:error:${code}`, status: answer.status });
  expect(isErrorCode(code) && ERROR_CATALOGUE[code].http).toBe(answer.status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  if (field !== undefined) expect(answer.body.field).toBe(field);
  expect(answer.text).not.toMatch(/node_modules|\.ts:\d|at .*\(/);
  expect(await api.snapshot()).toBe(before);
}

describe('a body', () => {
  const deep = (depth: number) => `{"id":${'['.repeat(depth)}${']'.repeat(depth)}}`;
  it.each([
    ['cut short', '{"id":"eu"', 'MALFORMED_BODY'],
    ['with a comma too many', '{"id":"eu",}', 'MALFORMED_BODY'],
    ['that is two values', '{"id":"eu"} {}', 'MALFORMED_BODY'],
    ['with a key twice', '{"id":"eu","id":"us"}', 'MALFORMED_BODY'],
    ['with a key twice, once escaped', '{"id":"eu","\\u0069d":"us"}', 'MALFORMED_BODY'],
    ['with __proto__', '{"id":"eu","__proto__":{"admin":true}}', 'MALFORMED_BODY'],
    ['with __proto__ escaped', '{"id":"eu","__pr\\u006fto__":{}}', 'MALFORMED_BODY'],
    ['with constructor.prototype', '{"id":"eu","constructor":{"prototype":{}}}', 'MALFORMED_BODY'],
    ['10,000 deep', deep(10_000), 'MALFORMED_BODY'],
    ['500,000 deep', deep(500_000), 'MALFORMED_BODY'],
    ['of 10 MB', JSON.stringify({ id: 'eu', description: 'x'.repeat(10_000_000) }), 'BODY_TOO_LARGE'],
    ['with half a character', '{"id":"eu","name":"a\\ud800b"}', 'MALFORMED_BODY'],
    ['with the other half', '{"id":"eu","name":"\\uDE00"}', 'MALFORMED_BODY'],
    ['with half a character in a key', '{"id":"eu","\\ud83d":1}', 'MALFORMED_BODY'],
    ['that is no object', '"eu"', 'INVALID_FIELD'],
    ['that is null', 'null', 'INVALID_FIELD'],
    ['that is empty', '', 'INVALID_FIELD'],
  ])('%s is rejected', async (_, raw, code) => {
    const api = await startApi();
    await rejects(api, () => api.call('POST', sites, { raw }), code);
  });

  it('that is not UTF-8 is rejected', async () => {
    const api = await startApi();
    const raw = new Uint8Array([0x7b, 0x22, 0x69, 0x64, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]);
    await rejects(api, () => api.call('POST', sites, { raw }), 'MALFORMED_BODY');
  });

  it('may have characters beyond the basic plane, escaped or not', async () => {
    const api = await startApi();
    const { status, body } = await api.call('POST', sites, { raw: '{"id":"eu","name":"\\ud83d\\ude00 😀"}' });
    expect({ status, name: body['name'] }).toEqual({ status: 201, name: '😀 😀' });
  });

  it('with a Content-Encoding is rejected, a package too', async () => {
    const api = await startApi();
    const headers = { 'content-encoding': 'gzip' };
    const raw = new Uint8Array(gzipSync('{"id":"eu"}'));
    await rejects(api, () => api.call('POST', sites, { raw, headers }), 'UNSUPPORTED_MEDIA_TYPE');
    const push = { raw, headers: { ...headers, 'content-type': 'application/octet-stream' } };
    const path = '/api/v1/packages?id=web&version=1&format=tar.gz';
    await rejects(api, () => api.call('POST', path, push), 'UNSUPPORTED_MEDIA_TYPE');
  });

  it.each([
    ['text/plain'],
    ['application/xml'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['application/octet-stream'],
    ['application/jsonx'],
    ['garbage'],
  ])('of type %s is rejected', async (type) => {
    const api = await startApi();
    const send = () => api.call('POST', sites, { raw: '{"id":"eu"}', headers: { 'content-type': type } });
    await rejects(api, send, 'UNSUPPORTED_MEDIA_TYPE');
  });

  it.each([
    ['an unknown field', { id: 'eu', admin: true }, 'admin'],
    ['a missing field', {}, 'id'],
    ['a wrong type', { id: 7 }, 'id'],
    ['a number that would be text', { id: 'eu', name: 5 }, 'name'],
    ['an id that is no slug', { id: '../etc/passwd' }, 'id'],
    ['an id with a newline', { id: 'eu\n' }, 'id'],
    ['an id in capitals', { id: 'EU' }, 'id'],
    ['a name with a control character', { id: 'eu', name: 'E\u001b[31mU' }, 'name'],
    ['a name that a terminal would turn round', { id: 'eu', name: 'exe.\u202egnp' }, 'name'],
    ['a name with a line separator', { id: 'eu', name: 'EU\u2028admin' }, 'name'],
    ['a name that is empty', { id: 'eu', name: '' }, 'name'],
    ['a description that is too long', { id: 'eu', description: 'x'.repeat(4001) }, 'description'],
  ])('with %s is rejected with the field', async (_, body, field) => {
    const api = await startApi();
    await rejects(api, () => api.call('POST', sites, { body }), 'INVALID_FIELD', field);
  });

  it('of arbitrary JSON is accepted, or rejected with a code of the catalogue, and never a server error', async () => {
    const api = await startApi();
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json({ maxDepth: 6 }),
          fc.string(),
          fc.json().map((text) => text.slice(1)),
        ),
        async (raw) => {
          const answer = await api.call('POST', sites, { raw });
          expect([201, 400, 409, 415, 422]).toContain(answer.status);
          if (answer.status !== 201) expect(isErrorCode(String(answer.body.code))).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('a query', () => {
  it.each([
    ['limit=-1', 'limit'],
    ['limit=0', 'limit'],
    ['limit=501', 'limit'],
    ['limit=1000000000', 'limit'],
    ['limit=1e3', 'limit'],
    ['limit=ten', 'limit'],
    ['limit=', 'limit'],
    ['limit=1&limit=2', 'limit'],
    ['cursor=%00', 'cursor'],
    ['cursor=bm9uc2Vuc2U', 'cursor'],
    ['offset=5', 'offset'],
    ['__proto__=1', '__proto__'],
  ])('%s is rejected with the field', async (query, field) => {
    const api = await startApi();
    await rejects(api, () => api.call('GET', `${sites}?${query}`), 'INVALID_FIELD', field);
  });

  it('pages through everything once', async () => {
    const api = await startApi();
    for (let i = 0; i < 7; i += 1) await api.call('POST', sites, { body: { id: `site-${i}` } });
    const seen: unknown[] = [];
    let next: string | undefined;
    do {
      const { body } = await api.call('GET', `${sites}?limit=3${next === undefined ? '' : `&cursor=${next}`}`);
      seen.push(...(body.items as { id: string }[]).map((site) => site.id));
      next = body.next as string | undefined;
    } while (next !== undefined);
    expect(seen).toEqual(['site-0', 'site-1', 'site-2', 'site-3', 'site-4', 'site-5', 'site-6']);
  });
});

describe('a path', () => {
  it.each([
    ['GET', '/api/v1/nothing', 'NOT_FOUND'],
    ['GET', '/', 'NOT_FOUND'],
    ['GET', '/api/v1/sites/%ff', 'NOT_FOUND'],
    ['GET', '/api/v1/sites/%2e%2e%2fetc', 'INVALID_FIELD'],
    ['GET', `/api/v1/sites/${'x'.repeat(300)}`, 'NOT_FOUND'],
    ['GET', '/api/v1/sites/nowhere', 'NOT_FOUND'],
    ['PUT', '/api/v1/sites', 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/api/v1/whoami', 'METHOD_NOT_ALLOWED'],
  ])('%s %s is rejected', async (method, path, code) => {
    const api = await startApi();
    await rejects(api, () => api.call(method, path), code);
  });

  it.each([
    ['sites/nowhere', 'site'],
    ['environments/nowhere', 'environment'],
    ['machines/nowhere', 'machine'],
    ['projects/nowhere', 'project'],
    ['nodes/nowhere', 'node'],
    ['tasks/01a21e33-d9ca-76d8-8553-9db0db7e1e65', 'task'],
    ['releases/01a21e33-d9ca-76d8-8553-9db0db7e1e65', 'release'],
  ])('%s that is not there is answered with the kind whose list to choose from', async (path, kind) => {
    const api = await startApi();
    const { body } = await api.call('GET', `/api/v1/${path}`);
    expect(body).toMatchObject({ code: 'NOT_FOUND', action: { code: 'CHOOSE_EXISTING', arguments: { kind } } });
    expect(JSON.stringify(body)).not.toContain('isthmus ');
  });

  it('that exists names its methods when another is tried', async () => {
    const api = await startApi();
    const { headers } = await api.call('PUT', sites);
    expect(headers.get('allow')?.split(', ').toSorted()).toEqual(['GET', 'HEAD', 'POST']);
  });
});

it('the error for a limit says it in words, with its unit', async () => {
  const api = await startApi();
  const detailOf = async (path: string, body: object) =>
    (await api.call('POST', `/api/v1/${path}`, { body })).body['detail'];
  expect(await detailOf('sites', { id: 'eu', name: '' })).toBe('name must not be empty');
  expect(await detailOf('sites', { id: 'eu', name: 1 })).toBe('name must be text');
  expect(await detailOf('tokens', { role: 'relay', site: 'eu', ttlS: 7200 })).toBe('ttlS must be at most 3600 seconds');
  expect(await detailOf('scripts', { body: 'x', machines: 'web-1' })).toBe('machines must be a list');
});

it.each([
  ['machines?environment=moon', 'environment', 'environment'],
  ['machines?site=moon', 'site', 'site'],
  ['machines?targetRole=moon', 'targetRole', 'machine'],
  ['nodes?site=moon', 'site', 'site'],
  ['tasks?project=moon', 'project', 'project'],
  ['tasks?environment=moon', 'environment', 'environment'],
  ['deployments?project=moon', 'project', 'project'],
  ['deployments?environment=moon', 'environment', 'environment'],
])('%s is no empty list', async (path, field, kind) => {
  const api = await startApi();
  const action = { code: 'CHOOSE_EXISTING', arguments: { kind } };
  expect(await api.call('GET', `/api/v1/${path}`)).toMatchObject({
    status: 422,
    body: { code: 'INVALID_FIELD', field, action },
  });
});

it('what exists already is named by its kind', async () => {
  const api = await startApi();
  for (const [path, kind] of [
    ['sites', 'site'],
    ['environments', 'environment'],
    ['projects', 'project'],
  ] as const) {
    await api.call('POST', `/api/v1/${path}`, { body: { id: 'eu' } });
    const { body } = await api.call('POST', `/api/v1/${path}`, { body: { id: 'eu' } });
    const action = { code: 'SHOW_EXISTING', arguments: { kind, id: 'eu' } };
    expect(body).toMatchObject({ code: 'ALREADY_EXISTS', action });
  }
});

it('the error for a pattern says in words what it requires', async () => {
  const api = await startApi();
  const detailOf = async (body: object) => (await api.call('POST', sites, { body })).body['detail'];
  expect(await detailOf({ id: 'EU' })).toMatch(/^id must have lower-case letters, digits and/);
  expect(await detailOf({ id: 'eu', name: 'a\nb' })).toMatch(/^name must be one line/);
});

it('a malformed package id is rejected with the same words wherever it is', async () => {
  const api = await startApi();
  const raw = new Uint8Array(1);
  const push = { raw, headers: { 'content-type': 'application/octet-stream' } };
  const step = { name: 'web', kind: 'package', package: { id: '.web' } };
  const answers = [
    await api.call('GET', '/api/v1/packages/.web/versions'),
    await api.call('POST', '/api/v1/packages?id=.web&version=1&format=zip', push),
    await api.call('POST', '/api/v1/projects', { body: { id: 'shop', steps: [step] } }),
  ];
  const words = 'must be 1 to 100 letters, digits, `.`, `_` or `-`, beginning with a letter or digit';
  expect(answers.map(({ body }) => [body.code, body.detail])).toEqual([
    ['INVALID_FIELD', `id ${words}`],
    ['INVALID_FIELD', `id ${words}`],
    ['INVALID_FIELD', `steps[0].package.id ${words}`],
  ]);
});

it('a type of event that does not exist is rejected, and one of a denial among the changes', async () => {
  const api = await startApi();
  const codeOf = async (query: string) => (await api.call('GET', `/api/v1/events?${query}`)).body.code;
  expect(await codeOf('type=link.lost')).toBeUndefined();
  expect(await codeOf('type=link.down')).toBe('INVALID_FIELD');
  expect(await codeOf('type=peer.denied')).toBe('INVALID_FIELD');
  expect(await codeOf('type=peer.denied&denied=true')).toBeUndefined();
});

describe('a connection', () => {
  it('that speaks no HTTP gets a problem document and is closed', async () => {
    const api = await startApi();
    const socket = connect(Number(new URL(api.base).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write('\u0016\u0003\u0001 hello\r\n\r\n');
    await once(socket, 'close');
    expect(text).toMatch(/^HTTP\/1\.1 400 [\s\S]*"code":"MALFORMED_BODY"/);
  });

  it('with 64 KB of headers is rejected', async () => {
    const api = await startApi();
    const answer = await fetch(`${api.base}/livez`, { headers: { 'x-large': 'x'.repeat(64 * 1024) } });
    expect(answer.status).toBe(400);
    const detail = 'the headers are larger than 16 KiB';
    expect(await answer.json()).toMatchObject({
      code: 'MALFORMED_BODY',
      detail,
      remedy: 'Send fewer or shorter headers.',
    });
  });
});

it('the error for a value that is not allowed lists the allowed ones', async () => {
  const api = await startApi();
  const answer = await api.call('POST', '/api/v1/api-keys', { body: { name: 'k', role: 'king' } });
  expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field: 'role' } });
  expect(answer.body.detail).toMatch(/^role must be one of: .*operator/);
});
