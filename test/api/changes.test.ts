// Changes: once per Idempotency-Key, only at the version that was read, each with its audit event.
import { describe, expect, it } from 'vitest';
import { setParents } from '../../server/topology/desired-parents.ts';
import { startApi, type TestApi } from './api.ts';

const sites = '/api/v1/sites';

describe('an Idempotency-Key', () => {
  it('gives the same answer to the same request, and one effect', async () => {
    const api = await startApi();
    const send = () =>
      api.call('POST', sites, { body: { id: 'eu', name: 'Europe' }, headers: { 'idempotency-key': 'k-1' } });
    const first = await send();
    const again = await send();
    expect(first.status).toBe(201);
    expect(again).toMatchObject({ status: 201, text: first.text });
    expect(again.headers.get('location')).toBe('/api/v1/sites/eu');
    expect(again.headers.get('etag')).toBe(first.headers.get('etag'));
    expect((await api.store.events.list({ type: 'site.created', limit: 10 })).items).toHaveLength(1);
  });

  it('of fifty at once has one effect and one answer', async () => {
    const api = await startApi();
    const answers = await Promise.all(
      Array.from({ length: 50 }, () =>
        api.call('POST', '/api/v1/api-keys', {
          body: { name: 'robot', role: 'viewer' },
          headers: { 'idempotency-key': 'k-2' },
        }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 201 });
    const { items } = await api.store.apiKeys.list({ limit: 100 });
    expect(items.filter((key) => key.name === 'robot')).toHaveLength(1);
  });

  it('used for another request is rejected, and nothing done', async () => {
    const api = await startApi();
    const headers = { 'idempotency-key': 'k-3' };
    await api.call('POST', sites, { body: { id: 'eu' }, headers });
    const before = await api.snapshot();
    for (const [path, body] of [
      [sites, { id: 'us' }],
      ['/api/v1/environments', { id: 'eu' }],
    ] as const) {
      const answer = await api.call('POST', path, { body, headers });
      expect(answer).toMatchObject({ status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED', field: 'Idempotency-Key' } });
    }
    expect(await api.snapshot()).toBe(before);
  });

  it("is each caller's own, and does not remember failures", async () => {
    const api = await startApi();
    const headers = { 'idempotency-key': 'k-4' };
    const body = { name: 'k', role: 'viewer' };
    const first = await api.call('POST', '/api/v1/api-keys', { body, headers });
    const other = await api.call('POST', '/api/v1/api-keys', { body, headers, key: api.keys.operator });
    expect(other.status).toBe(201);
    expect(other.body.id).not.toBe(first.body.id);
    await api.call('POST', sites, { body: { id: 'eu' } });
    const second = { 'idempotency-key': 'k-5' };
    expect((await api.call('POST', sites, { body: { id: 'eu' }, headers: second })).status).toBe(409);
    const { body: site } = await api.call('GET', `${sites}/eu`);
    await api.call('DELETE', `${sites}/eu`, { headers: { 'if-match': `"${String(site.version)}"` } });
    expect((await api.call('POST', sites, { body: { id: 'eu' }, headers: second })).status).toBe(201);
  });

  it.each(['', ' ', 'é', 'x'.repeat(256)])('that is not one (%j) is rejected', async (key) => {
    const api = await startApi();
    const headers = { 'idempotency-key': Buffer.from(key).toString('latin1') };
    const answer = await api.call('POST', sites, { body: { id: 'eu' }, headers });
    expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field: 'Idempotency-Key' } });
    expect(await api.store.sites.find('eu')).toBeUndefined();
  });
});

describe('a version', () => {
  it.each([
    ['no If-Match', {}, 428, 'PRECONDITION_REQUIRED'],
    ['an old one', { 'if-match': '"0"' }, 412, 'PRECONDITION_FAILED'],
    ['a weak one', { 'if-match': 'W/"1"' }, 412, 'PRECONDITION_FAILED'],
    ['any', { 'if-match': '*' }, 412, 'PRECONDITION_FAILED'],
    ['garbage', { 'if-match': '"1' }, 412, 'PRECONDITION_FAILED'],
  ])('with %s changes and deletes nothing', async (_, headers, status, code) => {
    const api = await startApi();
    await api.call('POST', sites, { body: { id: 'eu' } });
    const before = await api.snapshot();
    for (const method of ['PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? { name: 'x' } : undefined;
      const answer = await api.call(method, `${sites}/eu`, { headers: headers, body });
      expect(answer).toMatchObject({ status, body: { code } });
    }
    expect(await api.snapshot()).toBe(before);
    expect((await api.store.events.list({ type: 'site.updated', limit: 10 })).items).toEqual([]);
  });

  it('that was read lets one of two writers change', async () => {
    const api = await startApi();
    const made = await api.call('POST', sites, { body: { id: 'eu' } });
    const headers = { 'if-match': made.headers.get('etag') ?? '' };
    const answers = await Promise.all(
      ['a', 'b'].map((name) => api.call('PATCH', `${sites}/eu`, { headers, body: { name } })),
    );
    expect(answers.map((answer) => answer.status).toSorted()).toEqual([200, 412]);
    expect((await api.call('GET', `${sites}/eu`)).headers.get('etag')).toBe('"2"');
    expect((await api.store.events.list({ type: 'site.updated', limit: 10 })).items).toHaveLength(1);
  });

  it('is rejected for deletion while a variable or a valid join token names it', async () => {
    const api = await startApi();
    const headers = { 'if-match': '"1"' };
    for (const [collection, id] of [
      ['sites', 'us'],
      ['environments', 'test'],
      ['projects', 'web'],
    ] as const) {
      await api.call('POST', `/api/v1/${collection}`, { body: { id } });
    }
    const variable = { name: 'Port', value: '1', environments: ['test'] };
    const made = await api.call('POST', '/api/v1/projects/web/variables', { body: variable });
    const id = 'token-1';
    await api.store.transaction((tx) =>
      tx.tokens.insert({
        ...{
          id,
          proofKeySealed: '',
          role: 'tentacle',
          site: 'us',
          name: null,
          environments: ['test'],
          targetRoles: [],
        },
        ...{ parents: [{ node: 'server', dialAddress: null }], routes: null, address: null },
        ...{ expiresAt: Date.now() + 60_000, createdBy: 'test', createdAt: Date.now() },
      }),
    );
    const remove = (path: string) => api.call('DELETE', `/api/v1/${path}`, { headers });
    expect((await remove('sites/us')).body).toMatchObject({
      code: 'IN_USE',
      detail: `site us is in use by join token ${id}`,
    });
    expect((await remove('environments/test')).body).toMatchObject({
      code: 'IN_USE',
      detail: `environment test is in use by variable Port of project web, join token ${id}`,
    });
    expect((await remove(`projects/web/variables/${String(made.body['id'])}`)).status).toBe(204);
    await api.store.transaction((tx) => tx.tokens.delete(id));
    expect((await remove('environments/test')).status).toBe(204);
    expect((await remove('sites/us')).status).toBe(204);
  });

  it('is rejected for deletion while something refers to it', async () => {
    const api = await startApi();
    await addMachine(api);
    const answer = await api.call('DELETE', `${sites}/eu`, { headers: { 'if-match': '"1"' } });
    expect(answer).toMatchObject({
      status: 409,
      body: { code: 'IN_USE', detail: 'site eu is in use by node relay-eu, node web-1' },
    });
    const headers = { 'if-match': '"1"' };
    await api.call('PATCH', '/api/v1/machines/web-1', { headers, body: { environments: ['prod'] } });
    const environment = await api.call('DELETE', '/api/v1/environments/prod', { headers });
    expect(environment.body).toMatchObject({ code: 'IN_USE', detail: 'environment prod is in use by machine web-1' });
  });
});

describe('a machine', () => {
  it.each([
    [[{ kind: 'path', via: ['nowhere'] }], 'ROUTE_INVALID', 'routes[0].via[0]'],
    [
      [
        { kind: 'path', via: ['relay-eu'] },
        { kind: 'path', via: ['relay-eu', 'relay-eu'] },
      ],
      'ROUTE_INVALID',
      'routes[1].via[1]',
    ],
    [[{ kind: 'path', via: Array.from({ length: 9 }, (_, i) => `r-${i}`) }], 'ROUTE_INVALID', 'routes[0].via[8]'],
    [[], 'ROUTE_INVALID', 'routes'],
    [[{ kind: 'path', via: [] }], 'INVALID_FIELD', 'routes[0].via'],
    [[{ kind: 'sideways' }], 'INVALID_FIELD', 'routes[0].kind'],
    [[{ kind: 'direct', via: ['eu'] }], 'INVALID_FIELD', undefined],
  ])('with routes %j is rejected with the field', async (routes, code, field) => {
    const api = await startApi();
    await addMachine(api);
    const before = await api.snapshot();
    const headers = { 'if-match': '"1"' };
    const answer = await api.call('PATCH', '/api/v1/machines/web-1', { headers, body: { routes } });
    expect(answer).toMatchObject({ status: 422, body: { code } });
    if (field !== undefined) expect(answer.body.field).toBe(field);
    expect(await api.snapshot()).toBe(before);
  });

  it('is changed, recorded in an event and shown completely', async () => {
    const api = await startApi();
    await addMachine(api);
    const routes = [{ kind: 'path', via: ['relay-eu'] }];
    const body = { routes, environments: ['prod'], targetRoles: ['web'], thresholds: { diskFreeBytes: 5 } };
    const answer = await api.call('PATCH', '/api/v1/machines/web-1', { headers: { 'if-match': '"1"' }, body });
    expect(answer).toMatchObject({ status: 200, body: { ...body, version: 2, health: 'unknown' } });
    const { items } = await api.store.events.list({ type: 'machine.updated', limit: 10 });
    expect(items).toMatchObject([{ subject: 'web-1', data: body }]);
    const listed = await api.call('GET', '/api/v1/machines?environment=prod&targetRole=web');
    expect((listed.body.items as unknown[]).length).toBe(1);
  });

  it('cannot be in an environment that does not exist', async () => {
    const api = await startApi();
    await addMachine(api);
    const answer = await api.call('PATCH', '/api/v1/machines/web-1', {
      headers: { 'if-match': '"1"' },
      body: { environments: ['prod', 'moon'] },
    });
    expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field: 'environments[1]' } });
  });

  it('is deleted only once its node is revoked', async () => {
    const api = await startApi();
    await addMachine(api);
    const remove = () => api.call('DELETE', '/api/v1/machines/web-1', { headers: { 'if-match': '"1"' } });
    expect(await remove()).toMatchObject({ status: 409, body: { code: 'IN_USE' } });
    await api.store.transaction((tx) => tx.nodes.revoke('web-1', 1));
    expect((await remove()).status).toBe(204);
    expect((await remove()).status).toBe(404);
  });
});

it('a parent that is no active relay is answered with the relays to choose from', async () => {
  const api: TestApi = await startApi({
    setParents: (tx, id, change, actor) =>
      setParents(tx, id, { ...change, topology: api.topology, serverAddress: undefined }, actor),
  });
  await addMachine(api);
  await api.store.transaction(async (tx) => {
    const parents = [{ node: 'server', dialAddress: null }];
    await tx.nodes.insert({ id: 'relay-us', role: 'relay', site: 'eu', parents, createdAt: 1 });
    await tx.nodes.insert({ id: 'web-2', role: 'tentacle', site: 'eu', parents, createdAt: 1 });
    await tx.nodes.revoke('relay-us', 1);
  });
  const set = (node: string) => {
    const headers = { 'if-match': '"1"' };
    return api.call('PUT', '/api/v1/nodes/web-1/parents', { body: { parents: [{ node }] }, headers });
  };
  for (const node of ['nowhere', 'web-2']) {
    expect((await set(node)).body).toMatchObject({
      code: 'INVALID_FIELD',
      field: 'parents[0].node',
      remedy: 'Choose a relay that exists and is active.',
      action: { code: 'CHOOSE_RELAY', arguments: {} },
    });
  }
  expect((await set('relay-us')).body).toMatchObject({
    code: 'MACHINE_REVOKED',
    field: 'parents[0].node',
    action: { code: 'REJOIN_NODE', arguments: { node: 'relay-us' } },
  });
});

/** Site eu, environment prod, relay relay-eu, and machine web-1 behind it. */
async function addMachine(api: TestApi): Promise<void> {
  await api.call('POST', sites, { body: { id: 'eu' } });
  await api.call('POST', '/api/v1/environments', { body: { id: 'prod' } });
  await api.store.transaction(async (tx) => {
    const node = { site: 'eu', createdAt: 1 };
    await tx.nodes.insert({ ...node, id: 'relay-eu', role: 'relay', parents: [{ node: 'server', dialAddress: null }] });
    await tx.nodes.insert({
      ...node,
      id: 'web-1',
      role: 'tentacle',
      parents: [{ node: 'relay-eu', dialAddress: null }],
    });
    await tx.machines.insert({
      id: 'web-1',
      name: 'web-1',
      site: 'eu',
      environments: [],
      targetRoles: [],
      routes: [{ kind: 'path', via: ['relay-eu'] }],
      createdAt: 1,
    });
  });
}
