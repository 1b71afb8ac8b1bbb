// Dispatch, trace and ping use the same paths in the same order, whatever routes a machine has.
import { expect, it } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import type { MachineRoute } from '../../contract/machines.ts';
import { createRouteResolver, dispatchRoutes } from '../../server/topology/route-resolver.ts';
import { ownLink } from '../support/topology.ts';
import { startApi, type TestApi } from './api.ts';

/** Two relays below the server, and a machine below both: the second is nearer, and only the first is preferred. */
async function site(services: Parameters<typeof startApi>[0] = {}): Promise<TestApi> {
  const api = await startApi({
    trace: () => Promise.resolve([]),
    ping: () => Promise.resolve([1]),
    ...services,
  });
  const createdAt = 1;
  const below = (...parents: string[]) => parents.map((node) => ({ node, dialAddress: null }));
  await api.store.transaction(async (tx) => {
    await tx.sites.insert({ id: 'eu', name: 'eu', description: '', createdAt });
    for (const [id, roundTripMs] of Object.entries({ 'eu-a': 40, 'eu-b': 10 })) {
      await tx.nodes.insert({ id, role: 'relay', site: 'eu', parents: below('server'), createdAt });
      const links = [{ peer: 'web-1', relation: 'child', up: true, dialledBy: 'peer', roundTripMs }];
      await tx.nodes.recordLastSeen(id, { report: { links }, lastSeenAt: Date.now() });
    }
    await tx.nodes.insert({ id: 'web-1', role: 'tentacle', site: 'eu', parents: below('eu-a', 'eu-b'), createdAt });
    const machine = { id: 'web-1', name: 'web-1', site: 'eu', environments: [], targetRoles: [], createdAt };
    await tx.machines.insert({ ...machine, routes: [{ kind: 'auto' }] });
  });
  api.topology.followLinks({
    links: () => [ownLink('eu-a', { roundTripMs: 1 }), ownLink('eu-b', { roundTripMs: 1 })],
    onLinksChanged: () => () => undefined,
  });
  return api;
}

/** The paths that a probe of the API takes. */
async function probed(api: TestApi, probe: 'trace' | 'ping', body: object): Promise<string[]> {
  const answer = await api.call('POST', `/api/v1/mesh/${probe}`, { body });
  return (answer.body.paths as { path: string[] }[]).map(({ path }) => path.join());
}

async function everyAnswer(api: TestApi): Promise<string[][]> {
  const dispatch = dispatchRoutes(createRouteResolver(api.topology));
  const dispatched = (await dispatch('web-1')).map((route) => (route.kind === 'direct' ? '' : route.via.join()));
  return [dispatched, await probed(api, 'trace', { node: 'web-1' }), await probed(api, 'ping', { machine: 'web-1' })];
}

const path = (...via: string[]): MachineRoute => ({ kind: 'path', via });

it.each<[string, readonly MachineRoute[], string[]]>([
  ['auto', [{ kind: 'auto' }], ['eu-b', 'eu-a']],
  ['named', [path('eu-a'), path('eu-b')], ['eu-a', 'eu-b']],
  ['named, and only one of them', [path('eu-b')], ['eu-b']],
  ['named, then auto', [path('eu-a'), { kind: 'auto' }], ['eu-a', 'eu-b']],
])('take the paths of routes that are %s', async (_, routes, expected) => {
  const api = await site();
  const headers = { 'if-match': '"1"' };
  await api.call('PATCH', '/api/v1/machines/web-1', { body: { routes }, headers });
  expect(await everyAnswer(api)).toEqual(Array(3).fill(expected));
  // Every answer shows the change as soon as it is committed.
  await api.store.transaction((tx) => tx.nodes.recordLastSeen(expected[0]!, { lastSeenAt: 1 }));
  const reversed = expected.toReversed();
  expect(await everyAnswer(api)).toEqual(Array(3).fill(reversed));
});

it('trace takes a node, and nothing else', async () => {
  const api = await site();
  const trace = (body: object) => api.call('POST', '/api/v1/mesh/trace', { body });
  expect((await trace({ machine: 'web-1' })).body).toMatchObject({ code: 'INVALID_FIELD' });
  expect((await trace({ node: 'nowhere' })).body).toMatchObject({ code: 'NOT_FOUND', field: 'node' });
});

it('trace says of a node that waits to join who dials it, and how that ended last', async () => {
  const api = await site();
  const token = {
    ...({
      id: 'k1',
      proofKeySealed: '',
      role: 'relay',
      site: 'eu',
      name: 'us',
      environments: [],
      targetRoles: [],
    } as const),
    ...{ routes: null, address: null, expiresAt: Date.now() + 60_000, createdBy: 'test', createdAt: 1 },
    parents: [{ node: 'server', dialAddress: null }],
  } as const;
  await api.store.transaction((tx) => tx.tokens.insert(token));
  const trace = () => api.call('POST', '/api/v1/mesh/trace', { body: { node: 'us' } });
  expect((await trace()).body).toMatchObject({ code: 'NOT_FOUND', detail: 'us has not joined yet' });
  const link = ownLink('us', { up: false, address: 'us.example:8444', lastErrorCode: 'JOIN_TCP' });
  api.topology.followLinks({ links: () => [link], onLinksChanged: () => () => undefined });
  expect((await trace()).body).toMatchObject({
    code: 'NOT_FOUND',
    detail: 'us has not joined yet; server dials it at us.example:8444 (last error: JOIN_TCP)',
    remedy: expect.stringContaining('the address of that port') as string,
  });
});

it('trace shows the state, cost and reason of each path', async () => {
  const api = await site();
  await api.store.transaction((tx) => tx.nodes.recordLastSeen('eu-b', { lastSeenAt: 1 }));
  const { body } = await api.call('POST', '/api/v1/mesh/trace', { body: { node: 'web-1' } });
  expect(body.paths).toEqual([
    { path: ['eu-a'], state: 'up', cost: 42, reason: null, hops: [] },
    {
      ...{ path: ['eu-b'], state: 'unknown', cost: expect.any(Number) as number, hops: [] },
      reason: 'nobody reports the link from eu-b to web-1 now',
    },
  ]);
});

it.each([
  ['one', ['eu-a']],
  ['every', ['eu-a', 'eu-b']],
])('ping answers the error of each path, when %s of them fails', async (_, failing) => {
  const api = await site({
    ping: (_machine, [relay = '']) =>
      failing.includes(relay)
        ? Promise.reject(new IsthmusError('UNREACHABLE', `no live link to ${relay}`, { hop: relay }))
        : Promise.resolve([1]),
  });
  const { status, body } = await api.call('POST', '/api/v1/mesh/ping', { body: { machine: 'web-1' } });
  expect(status).toBe(200);
  const answer = (relay: string) =>
    failing.includes(relay)
      ? {
          path: [relay],
          roundTripsMs: [],
          error: { code: 'UNREACHABLE', hop: relay, detail: `no live link to ${relay}` },
        }
      : { path: [relay], roundTripsMs: [1] };
  expect(body['paths']).toMatchObject([answer('eu-b'), answer('eu-a')]);
});

it('reject a node that is revoked, relay or machine', async () => {
  const api = await site();
  for (const node of ['web-1', 'eu-a']) {
    await api.store.transaction((tx) => tx.nodes.revoke(node, 1));
    const { status, body } = await api.call('POST', '/api/v1/mesh/trace', { body: { node } });
    expect({ status, ...body }).toMatchObject({
      status: 409,
      code: 'MACHINE_REVOKED',
      detail: `node ${node} has been revoked`,
      hop: node,
    });
    expect(body['remedy']).not.toMatch(/machine/);
  }
  await expect(dispatchRoutes(createRouteResolver(api.topology))('web-1')).rejects.toMatchObject({
    code: 'MACHINE_REVOKED',
  });
});
