// Keys and roles: deny by default, one denial event each, and no key creates a key with more rights.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { fastify } from 'fastify';
import { isLive } from '../../server/access/api-keys.ts';
import { enforceAccess } from '../../server/api/route-access.ts';
import { startApi, type TestApi } from './api.ts';

async function denials(api: TestApi): Promise<{ actor: string; subject: string; data: unknown }[]> {
  return (await api.store.denials.list({ type: 'request.denied', limit: 100 })).items;
}

describe('a request without a valid key', () => {
  it.each([
    ['none', null],
    ['garbage', 'garbage'],
    ['a truncated key', 'truncated'],
    ['a key with another secret', 'other-secret'],
    ['an unknown key', `isk_${'0'.repeat(12)}_${'A'.repeat(43)}`],
  ])('(%s) is denied with one audit event and nothing done', async (_, given) => {
    const api = await startApi();
    // The secret is base64url, so it may have underscores of its own.
    const [, id = '', secret = ''] = /^isk_([^_]+)_(.+)$/.exec(api.keys.admin) ?? [];
    const key =
      given === 'truncated'
        ? api.keys.admin.slice(0, -1)
        : given === 'other-secret'
          ? `isk_${id}_${'A'.repeat(secret.length)}`
          : given;
    const before = await api.snapshot();
    const answer = await api.call('POST', '/api/v1/sites', { key, body: { id: 'eu' } });
    expect(answer).toMatchObject({ status: 401, body: { code: 'UNAUTHENTICATED' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(await api.snapshot()).toBe(before);
    const events = await denials(api);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ actor: 'anonymous', subject: 'POST /api/v1/sites' });
    expect(JSON.stringify(events)).not.toContain(secret);
  });

  it('is denied before its body is read', async () => {
    const api = await startApi();
    const answer = await api.call('POST', '/api/v1/sites', { key: null, raw: '{"broken' });
    expect(answer.body.code).toBe('UNAUTHENTICATED');
  });

  it('is denied with an expired and with a revoked key', async () => {
    const api = await startApi();
    const made = async (expiresAt?: number) =>
      (await api.call('POST', '/api/v1/api-keys', { body: { name: 'k', role: 'viewer', expiresAt } })).body as {
        id: string;
        key: string;
      };
    const expired = await made(Date.now() - 1);
    const denialOf = async (presented: string) => {
      const { status, body } = await api.call('GET', '/api/v1/whoami', { key: presented });
      return `${status} ${String(body['detail'])}`;
    };
    expect(await denialOf(expired.key)).toBe(`401 API key ${expired.id} has expired`);
    const { id, key } = await made();
    expect((await api.call('GET', '/api/v1/whoami', { key })).status).toBe(200);
    expect((await api.call('DELETE', `/api/v1/api-keys/${id}`)).status).toBe(204);
    expect((await api.call('DELETE', `/api/v1/api-keys/${id}`)).status).toBe(204);
    expect(await denialOf(key)).toBe(`401 API key ${id} was revoked`);
    // Only a caller with the secret learns this; to any other the key does not exist.
    const guessed = (of: string) => denialOf(`isk_${of}_${'A'.repeat(43)}`);
    expect(await guessed(id)).toBe(await guessed('0'.repeat(12)));
    const { items } = await api.store.events.list({ type: 'api-key.revoked', limit: 10 });
    expect(items).toHaveLength(1);
    const subject = 'GET /api/v1/whoami';
    const told = { actor: 'anonymous', subject, data: { code: 'UNAUTHENTICATED' } };
    expect(await denials(api)).toMatchObject([told, told, told, told]);
  });

  it('is rate-limited when repeated, whatever the clock says, while valid keys still work', async () => {
    const api = await startApi();
    const statuses: number[] = [];
    for (let i = 0; i < 60; i += 1) {
      const key = `isk_${'0'.repeat(12)}_${String(i).padStart(43, 'A')}`;
      statuses.push((await api.call('GET', '/api/v1/whoami', { key })).status);
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(30);
    expect(statuses.slice(30)).toEqual(Array.from({ length: 30 }, () => 429));
    expect(await denials(api)).toHaveLength(30);
    const now = Date.now;
    const clock = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
    onTestFinished(() => clock.mockRestore());
    expect((await api.call('GET', '/api/v1/whoami', { key: 'isk_wrong' })).status).toBe(429);
    expect((await api.call('GET', '/api/v1/whoami')).status).toBe(200);
  });
});

describe('a role', () => {
  it.each([
    ['viewer', 'POST', '/api/v1/sites', { id: 'eu' }],
    ['operator', 'POST', '/api/v1/sites', { id: 'eu' }],
    ['operator', 'POST', '/api/v1/tokens', { role: 'relay', site: 'eu' }],
    ['operator', 'POST', '/api/v1/nodes/eu/revoke', undefined],
    ['viewer', 'GET', '/api/v1/api-keys', undefined],
    ['viewer', 'POST', '/api/v1/api-keys', { name: 'mine', role: 'viewer' }],
    ['viewer', 'POST', '/api/v1/mesh/ping', { machine: 'm' }],
    ['viewer', 'POST', '/api/v1/packages', undefined],
  ] as const)('%s may not %s %s: one audit event, nothing done', async (role, method, path, body) => {
    const api = await startApi();
    const before = await api.snapshot();
    const answer = await api.call(method, path, { key: api.keys[role], body });
    expect(answer).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
    expect(await api.snapshot()).toBe(before);
    expect([...api.calls]).toEqual([]);
    const id = api.keys[role].split('_')[1];
    expect(await denials(api)).toMatchObject([{ actor: id, data: { code: 'FORBIDDEN' } }]);
  });

  it('that goes on asking is denied as often, and recorded only so often', async () => {
    const api = await startApi();
    const ask = () => api.call('POST', '/api/v1/sites', { key: api.keys.viewer, body: { id: 'eu' } });
    const answers = await Promise.all(Array.from({ length: 100 }, ask));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]));
    const events = await denials(api);
    expect(events).toHaveLength(30);
    expect(events.map(({ data }) => (data as { moreNotRecorded?: true }).moreNotRecorded)).toEqual([
      ...Array.from({ length: 29 }, () => undefined),
      true,
    ]);
    expect((await api.call('POST', '/api/v1/sites', { key: api.keys.operator, body: { id: 'eu' } })).status).toBe(403);
    expect(await denials(api)).toHaveLength(31);
  });

  it('lists denials like events, with the same filters', async () => {
    const api = await startApi();
    const key = api.keys.viewer;
    const ask = (query: string) => api.call('GET', `/api/v1/events${query}`, { key });
    await api.call('POST', '/api/v1/sites', { key, body: { id: 'eu' } });
    await api.call('POST', '/api/v1/environments', { key, body: { id: 'eu' } });
    const denied = { type: 'request.denied', subjectKind: 'route', subject: 'POST /api/v1/sites' };
    const only = `&subject=${encodeURIComponent(denied.subject)}&type=request.denied`;
    expect((await ask(`?denied=true${only}`)).body).toMatchObject({ items: [{ seq: 1, ...denied }] });
    expect((await ask(`?denied=true${only}&after=1`)).body).toEqual({ items: [] });
    expect((await ask('?denied=true&limit=1')).body).toMatchObject({ next: '1' });
    for (const query of [
      '?type=request.denied',
      '?denied=false&type=request.denied',
      '?denied=true&type=site.created',
    ]) {
      expect((await ask(query)).body).toMatchObject({ code: 'INVALID_FIELD', field: 'type' });
    }
  });

  it.each([['operator', 'admin']] as const)('%s cannot create a key of role %s', async (role, broader) => {
    const api = await startApi();
    const before = await api.snapshot();
    const body = { name: 'mine', role: broader };
    const answer = await api.call('POST', '/api/v1/api-keys', { key: api.keys[role], body });
    expect(answer).toMatchObject({ status: 403, body: { code: 'FORBIDDEN', field: 'role' } });
    expect(await api.snapshot()).toBe(before);
    expect(await denials(api)).toHaveLength(1);
  });

  it('can create keys of its own role, which are stored as hashes only', async () => {
    const api = await startApi();
    const body = { name: 'mine', role: 'operator' };
    const made = await api.call('POST', '/api/v1/api-keys', { key: api.keys.operator, body });
    expect(made.status).toBe(201);
    const key = String(made.body.key);
    expect((await api.call('GET', '/api/v1/whoami', { key })).body).toMatchObject({ role: 'operator' });
    // The secret itself may hold underscores.
    const secret = key.split('_').slice(2).join('_');
    expect(await api.snapshot()).not.toContain(secret);
    expect(JSON.stringify(await api.store.events.list({ limit: 100 }))).not.toContain(secret);
  });

  it('cannot create a key that outlives its own', async () => {
    const api = await startApi();
    const make = async (key: string, expiresAt?: number) =>
      api.call('POST', '/api/v1/api-keys', { key, body: { name: 'k', role: 'operator', expiresAt } });
    const soon = Date.now() + 600_000;
    const maker = String((await make(api.keys.admin, soon)).body.key);
    expect((await make(maker)).body).toMatchObject({ expiresAt: soon });
    expect((await make(maker, soon - 1)).body).toMatchObject({ expiresAt: soon - 1 });
    expect(await make(maker, soon + 1)).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN', field: 'expiresAt' },
    });
  });

  it('can have a hundred valid keys at a time, and no more', async () => {
    const api = await startApi();
    const maker = api.keys.operator.split('_')[1]!;
    await api.store.transaction(async (tx) => {
      for (let i = 0; i < 100; i += 1) {
        const expiresAt = i === 0 ? 1 : null;
        await tx.apiKeys.insert({ id: `k-${i}`, name: 'k', role: 'viewer', hash: '', createdAt: 1, expiresAt }, maker);
      }
    });
    const make = () =>
      api.call('POST', '/api/v1/api-keys', { key: api.keys.operator, body: { name: 'k', role: 'viewer' } });
    expect((await make()).status).toBe(201);
    expect(await make()).toMatchObject({ status: 429, body: { code: 'RESOURCE_EXHAUSTED' } });
    await api.store.apiKeys.revoke('k-5', 2);
    expect((await make()).status).toBe(201);
  });

  it('admin key is not revoked when it is the last valid one, even when the last two are revoked at once', async () => {
    const api = await startApi();
    const own = api.keys.admin.split('_')[1]!;
    const revoke = (id: string) => api.call('DELETE', `/api/v1/api-keys/${id}`);
    await api.call('POST', '/api/v1/api-keys', { body: { name: 'over', role: 'admin', expiresAt: Date.now() - 1 } });
    await api.call('POST', '/api/v1/api-keys', { body: { name: 'ci', role: 'operator' } });
    const brief = { name: 'brief', role: 'admin', expiresAt: Date.now() + 3_600_000 };
    const { body: first } = await api.call('POST', '/api/v1/api-keys', { body: brief });
    expect(await revoke(own)).toMatchObject({ status: 409, body: { code: 'LAST_ADMIN' } });
    expect(await revoke(first['id'] as string)).toMatchObject({ status: 204 });
    const { body } = await api.call('POST', '/api/v1/api-keys', { body: { name: 'second', role: 'admin' } });
    const answers = await Promise.all([revoke(own), revoke(body['id'] as string)]);
    // The second request may also be rejected because its own key has just been revoked.
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1);
    const { items } = await api.store.apiKeys.list({ limit: 100 });
    const valid = items.filter((key) => key.role === 'admin' && isLive(key, Date.now()));
    expect(valid).toHaveLength(1);
  });

  it('operator cannot revoke an admin', async () => {
    const api = await startApi();
    const id = api.keys.admin.split('_')[1]!;
    const answer = await api.call('DELETE', `/api/v1/api-keys/${id}`, { key: api.keys.operator });
    expect(answer.status).toBe(403);
    expect((await api.call('GET', '/api/v1/whoami')).status).toBe(200);
  });
});

describe('a route', () => {
  it('without an access rule stops the start-up', () => {
    const app = fastify();
    enforceAccess(app, {} as never);
    expect(() => app.get('/open', () => 'hello')).toThrow(expect.objectContaining({ code: 'ACCESS_MISSING' }) as Error);
  });

  it('of every kind carries the security headers', async () => {
    const api = await startApi();
    for (const path of ['/livez', '/api/v1/sites', '/nothing']) {
      const { headers } = await api.call('GET', path);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  it('is described in OpenAPI 3.1, which needs no key; probes neither', async () => {
    const api = await startApi();
    const { status, body } = await api.call('GET', '/api/v1/openapi.json', { key: null });
    expect(status).toBe(200);
    expect(body.openapi).toBe('3.1.0');
    expect(Object.keys(body.paths as object)).toEqual(
      expect.arrayContaining(['/api/v1/sites', '/api/v1/tasks/{id}/events', '/api/v1/machines/{id}', '/livez']),
    );
    expect((await api.call('GET', '/livez', { key: null })).status).toBe(200);
    expect((await api.call('GET', '/readyz', { key: null })).status).toBe(200);
    api.stop.abort();
    expect((await api.call('GET', '/readyz', { key: null })).status).toBe(503);
  });
});

describe('behind a proxy', () => {
  const sent = { 'x-forwarded-for': '198.51.100.7, 203.0.113.9' };

  it('each client has its own address, which the trusted proxy names, and its own limit', async () => {
    const api = await startApi({}, { trustProxy: ['127.0.0.0/8', '::1'] });
    const ask = (headers: Record<string, string>) => api.call('GET', '/api/v1/sites', { key: null, headers });
    for (let i = 0; i < 31; i += 1) await ask(sent);
    expect((await ask(sent)).body.code).toBe('RESOURCE_EXHAUSTED');
    expect((await ask({ 'x-forwarded-for': '203.0.113.10' })).body.code).toBe('UNAUTHENTICATED');
    const addresses = (await denials(api)).map(({ data }) => (data as { address: string }).address);
    expect(new Set(addresses)).toEqual(new Set(['203.0.113.9', '203.0.113.10']));
  });

  it('that is not trusted, X-Forwarded-For is ignored', async () => {
    for (const trustProxy of [false, [], ['192.0.2.1']]) {
      const api = await startApi({}, { trustProxy });
      await api.call('GET', '/api/v1/sites', { key: null, headers: sent });
      expect(await denials(api)).toMatchObject([{ data: { address: '127.0.0.1' } }]);
    }
  });
});
