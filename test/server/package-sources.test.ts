// Where deployments fetch: a source outside the mesh that a variable names for one machine, packages that the server
// pushes, and the explanation, which says the same.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tarGz } from '../packages/craft.ts';
import { WholeMesh, type JoinedNode } from './whole.ts';

const content = tarGz([{ name: 'data', content: randomBytes(500_000) }]);
const sha256 = createHash('sha256').update(content).digest('hex');

/** A server outside the mesh; the paths that it was asked for. */
async function upstream() {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(200, { 'content-length': content.length }).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** A mesh with two machines, the package `site` and a project whose only step installs it. */
async function mesh(step: object): Promise<WholeMesh> {
  const up = await WholeMesh.up();
  const { api } = up;
  await api.ask('POST', '/sites', { id: 'eu' });
  await api.ask('POST', '/environments', { id: 'prod' });
  await up.add({ id: 'relay-1', role: 'relay' });
  await up.add({ id: 'mirror-1', role: 'mirror', parent: 'relay-1' });
  for (const id of ['web-1', 'web-2']) {
    const plan = { id, role: 'tentacle', parent: 'relay-1' } as const;
    await up.startNode(plan, { ...(await up.join(plan)), feedLoopback: true } as JoinedNode);
  }
  await api.ask('POST', '/packages?id=site&version=1.0&format=tar.gz', content);
  const steps = [{ name: 'web', kind: 'package', package: { id: 'site' }, ...step }];
  await api.ask('POST', '/projects', { id: 'shop', steps });
  return up;
}

async function deploy({ api }: WholeMesh): Promise<Record<string, unknown>> {
  await api.ask('POST', '/projects/shop/releases', { version: '1.0' });
  const task = await api.task('/deployments', { project: 'shop', release: '1.0', environment: 'prod' });
  expect(task.state, JSON.stringify(task)).toBe('succeeded');
  const acquired = task.machines.map(({ machine, steps }) => {
    return [machine, steps.find(({ action }) => action === 'acquire')?.detail?.['from']];
  });
  return Object.fromEntries(acquired) as Record<string, unknown>;
}

async function explain({ api }: WholeMesh, machine: string): Promise<unknown[][]> {
  const query = 'package=site&version=1&project=shop&environment=prod';
  const { sources } = await api.ask('GET', `/machines/${machine}/package-sources?${query}`);
  return (sources as Record<string, unknown>[]).map(({ source, why, url }) => [source, why, url]);
}

describe('a deployment', () => {
  it('fetches where a variable says, and the explanation says so before', async () => {
    const { asked, url } = await upstream();
    const up = await mesh({ feed: '#{Feed}' });
    const { api } = up;
    await api.ask('POST', '/package-sources', { kind: 'upstream', id: 's3', url: `${url}/{id}/{version}/{sha256}` });
    await api.ask('POST', '/projects/shop/variables', { name: 'Feed', value: '' });
    await api.ask('POST', '/projects/shop/variables', { name: 'Feed', value: 's3', machines: ['web-1'] });
    const rest = [
      ['mirror-1', 'mirror', null],
      ['server', 'server', null],
    ];
    expect(await explain(up, 'web-1')).toEqual([['s3', 'step', `${url}/site/1.0/${sha256}`], ...rest]);
    expect(await explain(up, 'web-2')).toEqual(rest);
    expect(await deploy(up)).toEqual({ 'web-1': 's3', 'web-2': 'mirror-1' });
    expect(asked).toEqual([`/site/1.0/${sha256}`]);
  });

  it('is rejected where its step names no source, and repeats no value', async () => {
    const up = await mesh({ feed: '#{Feed}' });
    await up.api.ask('POST', '/projects/shop/variables', { name: 'Feed', value: 'canary', sensitive: true });
    await up.api.ask('POST', '/projects/shop/releases', { version: '1.0' });
    const request = { project: 'shop', release: '1.0', environment: 'prod' };
    const { body } = await up.api.send('POST', '/deployments', request);
    expect(body).toMatchObject({ code: 'INVALID_FIELD', field: 'release' });
    expect(JSON.stringify(body)).not.toContain('canary');
  });

  it('is pushed to machines that may not fetch', async () => {
    const up = await mesh({ push: true });
    await up.stopNode('mirror-1');
    expect(await explain(up, 'web-1')).toEqual([['server', 'step', null]]);
    expect(await deploy(up)).toEqual({ 'web-1': 'server', 'web-2': 'server' });
  });
});

it('a package source names what exists, and keeps it', async () => {
  const up = await mesh({});
  const { api } = up;
  const create = (body: object) => api.send('POST', '/package-sources', { kind: 'upstream', id: 's3', ...body });
  const isDenied = async (body: object, field: string) => {
    const answer = await create(body);
    expect(answer.status, JSON.stringify(answer.body)).toBeGreaterThanOrEqual(400);
    expect(answer.body['field']).toBe(field);
  };
  await isDenied({ url: 'https://{id}.example/x' }, 'url');
  await isDenied({ url: 'https://h.example/{name}' }, 'url');
  await isDenied({ url: 'http://169.254.169.254/{id}' }, 'url');
  await isDenied({ url: 'https://h.example/', machines: ['web-9'] }, 'machines[0]');
  await isDenied({ url: 'https://h.example/', networks: ['10.0.0.0'] }, 'networks[0]');
  await isDenied({ url: 'https://h.example/', id: 'mirror-1' }, 'id');
  const made = await create({ url: 'https://h.example/{filename}', sites: ['eu'], networks: ['10.0.0.0/8'] });
  expect(made.status).toBe(201);
  expect((await explain(up, 'web-1'))[0]).toEqual(['s3', 'site', 'https://h.example/site.1.0.tar.gz']);
  const { items } = await api.ask('GET', '/events?type=package-source.created');
  expect(items).toMatchObject([{ subject: 's3', data: { kind: 'upstream', sites: ['eu'] } }]);
  const remove = () => api.send('DELETE', '/package-sources/s3', undefined, { 'if-match': '"1"' });
  await api.ask('POST', '/packages?id=tool&version=1.0&format=tar.gz', content);
  const steps = [{ name: 'tool', kind: 'package', package: { id: 'tool' }, feed: 's3' }];
  await api.ask('POST', '/projects', { id: 'tools', steps });
  await api.ask('POST', '/projects/tools/releases', { version: '1.0' });
  expect((await remove()).body).toMatchObject({
    code: 'IN_USE',
    detail: 'package source s3 is in use by the process of tools, release 1.0 of tools',
  });
  const { id } = await api.ask('GET', '/projects/tools/releases/1.0');
  await api.ask('DELETE', `/releases/${String(id)}`);
  await api.send('PUT', '/projects/tools/process', { steps: [] }, { 'if-match': '"1"' });
  expect((await remove()).status).toBe(204);
});
