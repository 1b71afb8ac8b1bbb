// Projects, variables, releases and tasks through the API: accepted requests take effect, rejected ones name the field,
// and sensitive values are never answered.
import { describe, expect, it } from 'vitest';
import { startApi, type Answer, type TestApi } from './api.ts';

/** Project shop with a script step, environment prod, and machine web-1 in it with role web. */
async function setUp(): Promise<TestApi> {
  const api = await startApi();
  await api.call('POST', '/api/v1/sites', { body: { id: 'eu' } });
  await api.call('POST', '/api/v1/environments', { body: { id: 'prod' } });
  await api.store.transaction(async (tx) => {
    const node = {
      id: 'web-1',
      role: 'tentacle' as const,
      site: 'eu',
      parents: [{ node: 'server', dialAddress: null }],
      createdAt: 1,
    };
    await tx.nodes.insert(node);
    const routes = [{ kind: 'direct' as const }];
    const machine = { id: 'web-1', name: 'web-1', site: 'eu', environments: ['prod'], targetRoles: ['web'], routes };
    await tx.machines.insert({ ...machine, createdAt: 1 });
  });
  await api.call('POST', '/api/v1/projects', { body: { id: 'shop' } });
  expect((await putProcess(api, [step()], 1)).status).toBe(200);
  return api;
}

function step(more: object = {}) {
  return {
    name: 'hello',
    kind: 'script',
    targetRoles: ['web'],
    script: { interpreter: 'bash', body: 'echo' },
    ...more,
  };
}

function putProcess(api: TestApi, steps: unknown[], version: number): Promise<Answer> {
  const headers = { 'if-match': `"${version}"` };
  return api.call('PUT', '/api/v1/projects/shop/process', { headers, body: { steps } });
}

describe('a process', () => {
  it.each([
    ['a name that is no slug', [step({ name: 'Hello World' })], 'steps[0].name'],
    ['a name twice', [step(), step()], 'steps[1].name'],
    ['an unknown kind', [step({ kind: 'magic' })], 'steps[0].kind'],
    ['an unknown field', [step({ runAs: 'root' })], 'steps[0].runAs'],
    ['a script without a body', [step({ script: { interpreter: 'bash' } })], 'steps[0].script.body'],
    ['another interpreter', [step({ script: { interpreter: 'perl', body: 'x' } })], 'steps[0].script.interpreter'],
    ['too many steps', Array.from({ length: 101 }, (_, i) => step({ name: `s-${i}` })), 'steps'],
    [
      'a pattern outside the package',
      [{ name: 'p', kind: 'package', targetRoles: [], package: { id: 'x' }, substituteIn: ['../x'] }],
      'steps[0].substituteIn[0]',
    ],
  ])('with %s is rejected with the field', async (_, steps, field) => {
    const api = await setUp();
    const before = await api.snapshot();
    const answer = await putProcess(api, steps, 2);
    expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field } });
    const made = await api.call('POST', '/api/v1/projects', { body: { id: 'other', steps } });
    expect(made).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD', field } });
    expect(await api.snapshot()).toBe(before);
  });

  it('comes with its project, also when its name and the step run together as those of another do', async () => {
    const api = await setUp();
    const packed = (name: string) => ({ name, kind: 'package', targetRoles: ['web'], package: { id: 'shop' } });
    const a = await api.call('POST', '/api/v1/projects', { body: { id: 'a-b', steps: [packed('c')] } });
    expect(a).toMatchObject({ status: 201, body: { process: [{ name: 'c', package: { id: 'shop' } }], version: 1 } });
    const b = await api.call('POST', '/api/v1/projects', { body: { id: 'a', steps: [packed('b-c')] } });
    expect(b).toMatchObject({ status: 201, body: { process: [{ name: 'b-c', package: { id: 'shop' } }], version: 1 } });
  });

  it('is replaced only at the version that was read', async () => {
    const api = await setUp();
    expect((await putProcess(api, [step({ name: 'other' })], 1)).status).toBe(412);
    expect((await putProcess(api, [step({ name: 'other' })], 2)).body).toMatchObject({
      version: 3,
      process: [{ name: 'other' }],
    });
  });
});

describe('a sensitive variable', () => {
  const secret = 'canary-2b7e151628aed2a6';

  it('goes in and is nowhere to be read: answers, events, database, remembered answers', async () => {
    const api = await setUp();
    const path = '/api/v1/projects/shop/variables';
    const headers = { 'idempotency-key': 'v-1' };
    const body = { name: 'Password', value: secret, sensitive: true };
    const made = await api.call('POST', path, { body, headers });
    expect(made).toMatchObject({ status: 201, body: { name: 'Password', value: null, sensitive: true } });
    const seen = [
      made.text,
      (await api.call('POST', path, { body, headers })).text,
      (await api.call('GET', path)).text,
    ];
    seen.push(JSON.stringify(await api.store.events.list({ limit: 500 })));
    seen.push(JSON.stringify(await api.store.variables.all('shop')));
    await api.call('POST', '/api/v1/projects/shop/releases', { body: { version: '1.0' } });
    seen.push((await api.call('GET', '/api/v1/projects/shop/releases')).text);
    seen.push(JSON.stringify(await api.store.releases.list('shop', { limit: 10 })));
    for (const text of seen) {
      expect(text).not.toContain(secret);
      expect(text).not.toContain(Buffer.from(secret).toString('base64'));
    }
    expect(seen[5]).not.toContain('ealed');
  });

  it('cannot be uncovered', async () => {
    const api = await setUp();
    const path = '/api/v1/projects/shop/variables';
    const made = await api.call('POST', path, { body: { name: 'Password', value: secret, sensitive: true } });
    const headers = { 'if-match': '"1"' };
    const answer = await api.call('PATCH', `${path}/${String(made.body.id)}`, { headers, body: { sensitive: false } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'INVALID_FIELD' } });
  });

  it('for a machine outside its environments is denied, and leaves a denial event', async () => {
    const api = await setUp();
    await api.call('POST', '/api/v1/environments', { body: { id: 'elsewhere' } });
    const body = { name: 'A', value: 'x', machines: ['web-1'], environments: ['elsewhere'] };
    const answer = await api.call('POST', '/api/v1/projects/shop/variables', { body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'SCOPE_MISMATCH' } });
    const { items } = await api.store.denials.list({ type: 'request.denied', limit: 10 });
    const subject = 'POST /api/v1/projects/:id/variables';
    expect(items).toMatchObject([{ subject, data: { code: 'SCOPE_MISMATCH' } }]);
  });

  it('of another project is not found', async () => {
    const api = await setUp();
    await api.call('POST', '/api/v1/projects', { body: { id: 'other' } });
    const made = await api.call('POST', '/api/v1/projects/shop/variables', { body: { name: 'A', value: 'b' } });
    const path = `/api/v1/projects/other/variables/${String(made.body.id)}`;
    const headers = { 'if-match': '"1"' };
    expect((await api.call('GET', path)).status).toBe(404);
    expect((await api.call('PATCH', path, { headers, body: { value: 'c' } })).status).toBe(404);
    expect((await api.call('DELETE', path, { headers })).status).toBe(404);
  });
});

describe('a task', () => {
  const scripts = '/api/v1/scripts';

  it('is accepted with 202 and a Location, once per Idempotency-Key, and leaves an audit event', async () => {
    const api = await setUp();
    const send = () =>
      api.call('POST', scripts, {
        body: { body: 'echo', machines: ['web-1'] },
        headers: { 'idempotency-key': 's-1' },
        key: api.keys.operator,
      });
    const first = await send();
    expect(first).toMatchObject({ status: 202, body: { kind: 'script', state: 'queued' } });
    const location = first.headers.get('location');
    expect(location).toBe(`/api/v1/tasks/${String(first.body.id)}`);
    expect((await send()).text).toBe(first.text);
    expect(api.calls.get('wake')).toBe(1);
    const view = await api.call('GET', location!);
    expect(view.body).toMatchObject({ state: 'queued', machines: [{ machine: 'web-1', state: 'pending' }] });
    expect((await api.store.tasks.list({}, { limit: 10 })).items).toHaveLength(1);
    expect((await api.store.events.list({ type: 'task.created', limit: 10 })).items).toHaveLength(1);
  });

  it.each([
    ['no body', { machines: ['web-1'] }, 422, 'INVALID_FIELD', 'body'],
    ['an empty body', { body: '', machines: ['web-1'] }, 422, 'INVALID_FIELD', 'body'],
    ['a body with NUL', { body: 'a\0b', machines: ['web-1'] }, 422, 'INVALID_FIELD', 'body'],
    ['no target', { body: 'x' }, 422, 'INVALID_FIELD', 'machines'],
    ['an unknown machine', { body: 'x', machines: ['web-1', 'web-2'] }, 422, 'INVALID_FIELD', 'machines[1]'],
    ['a machine twice', { body: 'x', machines: ['web-1', 'web-1'] }, 422, 'INVALID_FIELD', 'machines'],
    ['nothing that matches', { body: 'x', targetRoles: ['db'] }, 422, 'NO_TARGETS', 'targetRoles'],
    ['a negative time limit', { body: 'x', machines: ['web-1'], timeLimitS: -1 }, 422, 'INVALID_FIELD', 'timeLimitS'],
    ['a deadline of a year', { body: 'x', machines: ['web-1'], deadlineS: 3e7 }, 422, 'INVALID_FIELD', 'deadlineS'],
    ['an unknown isolation', { body: 'x', machines: ['web-1'], isolation: 'none' }, 422, 'INVALID_FIELD', 'isolation'],
    ['an unknown field', { body: 'x', machines: ['web-1'], runAs: 'root' }, 422, 'INVALID_FIELD', 'runAs'],
  ])('with %s is rejected with the field, and there is none', async (_, body, status, code, field) => {
    const api = await setUp();
    expect(await api.call('POST', scripts, { body })).toMatchObject({ status, body: { code, field } });
    expect((await api.store.tasks.list({}, { limit: 10 })).items).toEqual([]);
    expect(api.calls.get('wake')).toBeUndefined();
  });

  it('is cancelled twice with one effect, and is filtered in lists', async () => {
    const api = await setUp();
    const { body } = await api.call('POST', scripts, { body: { body: 'x', machines: ['web-1'] } });
    const path = `/api/v1/tasks/${String(body.id)}`;
    for (let i = 0; i < 2; i += 1) {
      expect(await api.call('POST', `${path}/cancel`)).toMatchObject({ status: 202, body: { state: 'cancelling' } });
    }
    expect((await api.store.events.list({ type: 'task.cancel-requested', limit: 10 })).items).toHaveLength(1);
    const count = async (query: string) =>
      ((await api.call('GET', `/api/v1/tasks?${query}`)).body.items as unknown[]).length;
    expect([await count('state=cancelling'), await count('state=queued'), await count('kind=script')]).toEqual([
      1, 0, 1,
    ]);
    expect(await api.call('GET', '/api/v1/tasks?state=done')).toMatchObject({ status: 422, body: { field: 'state' } });
    expect((await api.call('POST', '/api/v1/tasks/nothing/cancel')).status).toBe(404);
  });

  it('that failed is retried once per Idempotency-Key, by an operator, and answers a Location', async () => {
    const api = await setUp();
    const { body } = await api.call('POST', scripts, { body: { body: 'x', machines: ['web-1'] } });
    const path = `/api/v1/tasks/${String(body.id)}/retry`;
    const headers = { 'idempotency-key': 'again' };
    expect(await api.call('POST', path, { headers })).toMatchObject({
      status: 409,
      body: { code: 'TASK_NOT_RETRYABLE' },
    });
    await api.store.transaction(async (tx) => {
      const now = Date.now();
      const claimed = await tx.tasks.claimNext({ owner: 'server-1', leaseMs: 1000, now });
      await tx.tasks.end({ task: claimed!.id, epoch: claimed!.epoch }, { state: 'interrupted', now });
    });
    expect((await api.call('POST', path, { key: api.keys.viewer })).status).toBe(403);
    const first = await api.call('POST', path, { headers });
    expect(first).toMatchObject({ status: 202, body: { kind: 'script', state: 'queued', retryOf: body.id } });
    expect(first.headers.get('location')).toBe(`/api/v1/tasks/${String(first.body.id)}`);
    expect(await api.call('POST', path, { headers })).toMatchObject({ status: 202, text: first.text });
    expect((await api.store.tasks.list({}, { limit: 10 })).items).toHaveLength(2);
    expect((await api.store.events.list({ type: 'task.retried', limit: 10 })).items).toHaveLength(1);
    expect((await api.call('POST', '/api/v1/tasks/nothing/retry')).status).toBe(404);
  });

  it('of health is of every enabled machine when it names none', async () => {
    const api = await setUp();
    const answer = await api.call('POST', '/api/v1/health-checks', { body: {} });
    expect(answer).toMatchObject({ status: 202, body: { kind: 'health' } });
    const one = await api.call('POST', '/api/v1/machines/web-1/health');
    expect(one.status).toBe(202);
  });
});

describe('a release', () => {
  it('is one in every spelling of its version, and shown in its own', async () => {
    const api = await setUp();
    const releases = '/api/v1/projects/shop/releases';
    const made = await api.call('POST', releases, { body: { version: '2026.09.02' } });
    expect(made).toMatchObject({ status: 201, body: { version: '2026.09.02' } });
    expect(await api.call('POST', releases, { body: { version: '2026.9.2' } })).toMatchObject({
      status: 409,
      body: { code: 'RELEASE_EXISTS', detail: 'project shop has a release 2026.09.02 already' },
    });
    for (const spelling of ['2026.09.02', '2026.9.2', '2026.9.2.0']) {
      expect(await api.call('GET', `${releases}/${spelling}`)).toMatchObject({ status: 200, body: made.body });
      const body = { project: 'shop', release: spelling, environment: 'prod' };
      const deployed = await api.call('POST', '/api/v1/deployments', { body });
      expect(deployed).toMatchObject({ status: 202, body: { title: 'shop 2026.09.02 to prod' } });
    }
    expect(await api.call('GET', `${releases}/2026.9.3`)).toMatchObject({
      status: 404,
      body: { action: { code: 'CHOOSE_OR_CREATE_RELEASE' } },
    });
    expect(await api.call('GET', `${releases}/latest`)).toMatchObject({ status: 422, body: { field: 'version' } });
  });

  it('may have numbers of any length', async () => {
    const api = await setUp();
    const version = '20261130073259.4294967296.0';
    const made = await api.call('POST', '/api/v1/projects/shop/releases', { body: { version } });
    expect(made).toMatchObject({ status: 201, body: { version } });
    const body = { project: 'shop', release: version, environment: 'prod' };
    expect((await api.call('POST', '/api/v1/deployments', { body })).status).toBe(202);
  });
});

describe('the deletion of a release', () => {
  it('waits for its open deployments, and its project can be deleted then, with its variables', async () => {
    const api = await setUp();
    const made = await api.call('POST', '/api/v1/projects/shop/releases', { body: { version: '1.0' } });
    const path = `/api/v1/releases/${String(made.body.id)}`;
    const body = { project: 'shop', release: '1.0', environment: 'prod' };
    const task = await api.call('POST', '/api/v1/deployments', { body });
    const id = String(task.body.id);
    expect(await api.call('DELETE', path)).toMatchObject({
      status: 409,
      body: {
        code: 'IN_USE',
        detail: `release 1.0 of shop is in use by task ${id}`,
        remedy: 'Wait until the task has ended, or cancel it.',
        action: { code: 'CANCEL_TASK', arguments: { task: id } },
      },
    });
    await api.store.transaction(async (tx) => {
      const now = Date.now();
      const claimed = await tx.tasks.claimNext({ owner: 'server-1', leaseMs: 1000, now });
      await tx.tasks.end({ task: id, epoch: claimed!.epoch }, { state: 'succeeded', now });
    });
    await api.call('POST', '/api/v1/projects/shop/variables', { body: { name: 'Port', value: '1' } });
    const { headers: read } = await api.call('GET', '/api/v1/projects/shop');
    const headers = { 'if-match': read.get('etag') ?? '' };
    expect((await api.call('DELETE', '/api/v1/projects/shop', { headers })).body).toMatchObject({
      detail: 'project shop is in use by release 1.0',
      action: { code: 'DELETE_RELEASE', arguments: { project: 'shop', version: '1.0' } },
    });
    expect(await api.call('DELETE', `${path}?dryRun=true`)).toMatchObject({
      status: 200,
      body: { dryRun: true, deleted: [{ kind: 'release', name: '1.0 of shop' }] },
    });
    expect(await api.call('DELETE', path)).toMatchObject({ status: 200, body: { dryRun: false } });
    expect((await api.call('DELETE', path)).status).toBe(404);
    const { items } = await api.store.events.list({ type: 'release.deleted', limit: 10 });
    expect(items).toMatchObject([{ subject: made.body.id, data: { project: 'shop', version: '1.0' } }]);
    const deleted = [
      { kind: 'project', name: 'shop' },
      { kind: 'variable', name: 'Port' },
    ];
    for (const dryRun of [true, false]) {
      const answer = await api.call('DELETE', `/api/v1/projects/shop?dryRun=${dryRun}`, { headers });
      expect(answer).toMatchObject({ status: 200, body: { dryRun, deleted, freedBytes: 0, unused: [] } });
    }
    expect((await api.store.events.list({ type: 'variable.deleted', limit: 10 })).items).toHaveLength(1);
    const { body: history } = await api.call('GET', '/api/v1/deployments?project=shop');
    expect(history.items).toMatchObject([{ release: made.body.id, version: '1.0' }]);
    const retried = await api.call('POST', `/api/v1/tasks/${id}/retry`);
    expect(retried).toMatchObject({ status: 422, body: { detail: 'there is no project shop' } });
  });
});

describe('a deployment', () => {
  it('is accepted for a release, and rejected for what does not exist', async () => {
    const api = await setUp();
    const made = await api.call('POST', '/api/v1/projects/shop/releases', { body: { version: '1.0' } });
    expect(made).toMatchObject({ status: 201, body: { version: '1.0', process: [{ name: 'hello' }], packages: [] } });
    const again = await api.call('POST', '/api/v1/projects/shop/releases', { body: { version: '1.0' } });
    expect(again.status).toBe(409);
    const body = { project: 'shop', release: '1.0', environment: 'prod' };
    expect(await api.call('POST', '/api/v1/deployments', { body })).toMatchObject({
      status: 202,
      body: { kind: 'deployment', project: 'shop', environment: 'prod' },
    });
    for (const wrong of [{ project: 'none' }, { release: '9.9' }, { environment: 'none' }]) {
      const answer = await api.call('POST', '/api/v1/deployments', { body: { ...body, ...wrong } });
      expect([404, 422], answer.text).toContain(answer.status);
    }
    const second = await api.call('POST', '/api/v1/deployments', { body });
    const view = await api.call('GET', `/api/v1/tasks/${String(second.body.id)}`);
    expect(view.body.blockedBy).toHaveLength(1);
    const { body: list } = await api.call('GET', '/api/v1/deployments?project=shop');
    expect(list.items).toHaveLength(2);
  });
});

describe('a package', () => {
  it('is pushed as bytes only', async () => {
    const api = await startApi();
    const headers = { 'content-type': 'application/json' };
    const answer = await api.call('POST', '/api/v1/packages?id=a&version=1', { raw: '{}', headers });
    expect(answer).toMatchObject({ status: 415, body: { code: 'UNSUPPORTED_MEDIA_TYPE' } });
    expect(api.calls.get('pushPackage')).toBeUndefined();
  });
});
