// Requests of upgrades that are denied: at the API, and by the command line before anything is sent.
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Mesh } from '../../contract/mesh.ts';
import { SOFTWARE_VERSION } from '../../lib/version.ts';
import { startApi, type TestApi } from '../api/api.ts';
import { json, problem, startFakeApi, type FakeApi } from '../support/fake-api.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

const NAME = `isthmus-${SOFTWARE_VERSION}-linux-x64.tar.gz`;
const DIGEST = 'a'.repeat(64);
const BODY = {
  site: 'eu',
  tarballs: [NAME],
  sums: `${DIGEST}  ${NAME}\n`,
  signature: Buffer.alloc(64).toString('base64'),
};

async function site(): Promise<TestApi> {
  const api = await startApi();
  await api.store.transaction(async (tx) => {
    for (const id of ['eu', 'empty']) await tx.sites.insert({ id, name: id, description: '', createdAt: 1 });
    const of = { site: 'eu', parents: [{ node: 'server', dialAddress: null }], createdAt: 1 };
    await tx.nodes.insert({ id: 'server-1', role: 'server', site: null, parents: [], createdAt: 1 });
    for (const id of ['web-1', 'web-2', 'gone']) await tx.nodes.insert({ id, role: 'tentacle', ...of });
    await tx.nodes.recordLastSeen('web-1', { softwareVersion: '0.0.9' });
    await tx.nodes.revoke('gone', 5);
    await insertPackage(tx, DIGEST);
  });
  return api;
}

type Transaction = Parameters<Parameters<TestApi['store']['transaction']>[0]>[0];

async function insertPackage(tx: Transaction, sha256: string): Promise<void> {
  const id = 'isthmus-linux-x64';
  const named = { id, idKey: id, version: SOFTWARE_VERSION, versionKey: SOFTWARE_VERSION, format: 'tar.gz' as const };
  await tx.packages.insert({ ...named, sha256, sizeBytes: 7, publishedAt: 1 });
}

const named = (version: string) => `isthmus-${version}-linux-x64.tar.gz`;

describe('POST /node-upgrades', () => {
  it('accepts a task, with an event for each node, once for a key', async () => {
    const api = await site();
    const headers = { 'idempotency-key': 'once' };
    const first = await api.call('POST', '/api/v1/node-upgrades', { body: BODY, headers });
    const again = await api.call('POST', '/api/v1/node-upgrades', { body: BODY, headers });
    expect([first.status, first.body]).toEqual([202, again.body]);
    expect(first.body).toMatchObject({ kind: 'upgrade', title: `upgrade of 2 nodes of eu to ${SOFTWARE_VERSION}` });
    const task = await api.call('GET', `/api/v1/tasks/${String(first.body['id'])}`);
    expect(task.body['machines']).toMatchObject([
      { machine: 'web-1', state: 'pending' },
      { machine: 'web-2', state: 'pending' },
      { machine: 'gone', state: 'skipped', leftOut: 'revoked' },
    ]);
    const { items } = await api.store.events.list({ type: 'node.upgrade-requested', limit: 10 });
    expect(items).toMatchObject([
      { subject: 'web-1', data: { version: SOFTWARE_VERSION, before: '0.0.9', task: first.body['id'] } },
      { subject: 'web-2', data: { version: SOFTWARE_VERSION, before: null } },
    ]);
    const retried = await api.call('POST', `/api/v1/tasks/${String(first.body['id'])}/retry`, { body: {} });
    expect(retried.body.code).toBe('TASK_NOT_RETRYABLE');
  });

  it.each<[string, object, string, string | undefined]>([
    ['no node and no site', { site: undefined }, 'INVALID_FIELD', 'node'],
    ['a node and a site', { node: 'web-1' }, 'INVALID_FIELD', 'node'],
    ['a site that is not there', { site: 'us' }, 'INVALID_FIELD', 'site'],
    ['a site without nodes', { site: 'empty' }, 'NO_TARGETS', 'site'],
    ['a node that is not there', { site: undefined, node: 'web-9' }, 'INVALID_FIELD', 'node'],
    ['a node that is revoked', { site: undefined, node: 'gone' }, 'MACHINE_REVOKED', 'node'],
    ['a server', { site: undefined, node: 'server-1' }, 'INVALID_FIELD', 'node'],
    ['a canary elsewhere', { canary: 'server-1' }, 'INVALID_FIELD', 'canary'],
    ['no name of a tarball', { tarballs: ['web-1.0.0.tar.gz'] }, 'INVALID_FIELD', 'tarballs[0]'],
    ['two versions', { tarballs: [NAME, named('0.0.1')] }, 'INVALID_FIELD', 'tarballs[1]'],
    ['a version above the server', { tarballs: [named('99.0.0')] }, 'UPGRADE_SERVER_FIRST', undefined],
    ['a tarball that is not listed', { sums: `${DIGEST}  other\n` }, 'SOFTWARE_NOT_LISTED', undefined],
    ['another build than the feed has', { sums: `${'b'.repeat(64)}  ${NAME}\n` }, 'SOFTWARE_EXISTS', 'tarballs[0]'],
    ['a signature that is none', { signature: 'abc' }, 'INVALID_FIELD', 'signature'],
    ['many nodes at once', { atOnce: 1000 }, 'INVALID_FIELD', 'atOnce'],
  ])('rejects %s', async (_what, change, code, field) => {
    const api = await site();
    const before = await api.snapshot();
    const { body } = await api.call('POST', '/api/v1/node-upgrades', { body: { ...BODY, ...change } });
    expect({ code: body.code, field: body.field }).toEqual({ code, field });
    expect(await api.snapshot()).toBe(before);
  });

  it('says that a version is to be pushed first', async () => {
    const api = await site();
    const arm = named(SOFTWARE_VERSION).replace('x64', 'arm64');
    const { body } = await api.call('POST', '/api/v1/node-upgrades', {
      body: { ...BODY, tarballs: [arm], sums: `${DIGEST}  ${arm}\n` },
    });
    expect(body).toMatchObject({
      code: 'INVALID_FIELD',
      action: { code: 'PUSH_PACKAGE', arguments: { package: 'isthmus-linux-arm64' } },
    });
  });

  it('is for admins', async () => {
    const api = await site();
    const { body } = await api.call('POST', '/api/v1/node-upgrades', { body: BODY, key: api.keys.operator });
    expect(body.code).toBe('FORBIDDEN');
  });
});

describe('isthmus node upgrade', () => {
  /** A folder as a builder leaves it; the signature is checked by nodes only. */
  async function built(content = randomBytes(1000)): Promise<{ folder: string; file: string; sums: string }> {
    const folder = await tempDir();
    const sums = `${createHash('sha256').update(content).digest('hex')}  ${NAME}\n`;
    await writeFile(join(folder, NAME), content);
    await writeFile(join(folder, 'SHA256SUMS'), sums);
    await writeFile(join(folder, 'SHA256SUMS.sig'), Buffer.alloc(64, 1));
    return { folder, file: join(folder, NAME), sums };
  }
  const upgrade = (api: FakeApi, ...words: string[]) => isthmus([...api.args, 'node', 'upgrade', ...words]);

  it('pushes the tarball when the server lacks it, and only then', async () => {
    const api = await startFakeApi();
    const { file, sums } = await built();
    const accept = () => api.on('POST /api/v1/node-upgrades', (_, response) => json(response, { id: '7' }, 202));
    api.on('POST /api/v1/node-upgrades', (_, response) => {
      const action = { code: 'PUSH_PACKAGE', arguments: { package: 'isthmus-linux-x64' } };
      const body = { status: 422, code: 'INVALID_FIELD', title: '', detail: 'not there', remedy: '', action };
      json(response, body, 422);
    });
    api.on('POST /api/v1/packages', (_, response) => {
      accept();
      json(response, { id: 'isthmus-linux-x64', version: SOFTWARE_VERSION, sha256: DIGEST }, 201);
    });
    const first = await upgrade(api, '--site', 'eu', '--file', file, '--canary', 'web-1', '--at-once', '5');
    expect(first).toMatchObject({ code: 0, err: `pushing ${NAME}\n` });
    expect(first.out).toContain('task 7 accepted');
    const [asked, pushed, again] = api.requests;
    expect(JSON.parse(asked!.body)).toEqual({
      ...{ site: 'eu', tarballs: [NAME], sums, canary: 'web-1', atOnce: 5 },
      signature: Buffer.alloc(64, 1).toString('base64'),
    });
    expect(pushed!.headers).toMatchObject({
      'x-package-id': 'isthmus-linux-x64',
      'x-package-version': SOFTWARE_VERSION,
    });
    expect(again!.body).toBe(asked!.body);
    expect(await upgrade(api, 'web-1', '--file', file)).toMatchObject({ code: 0, err: '' });
    expect(api.requests).toHaveLength(4);
  });

  it.each<[string, (made: Awaited<ReturnType<typeof built>>) => Promise<string[]> | string[], string, number]>([
    ['neither node nor site', ({ file }) => ['--file', file], 'USAGE', 2],
    ['node and site', ({ file }) => ['web-1', '--site', 'eu', '--file', file], 'USAGE', 2],
    ['no file', () => ['web-1'], 'USAGE', 2],
    ['a name of no tarball', ({ folder }) => ['web-1', '--file', join(folder, 'SHA256SUMS')], 'SOFTWARE_NOT_LISTED', 1],
    ['a file that is not there', ({ folder }) => ['web-1', '--file', join(folder, named('1.0.0'))], 'FILE_UNUSABLE', 9],
    [
      'no list beside it',
      async ({ file }) => {
        const elsewhere = join(await tempDir(), NAME);
        await writeFile(elsewhere, file);
        return ['web-1', '--file', elsewhere];
      },
      'SOFTWARE_UNSIGNED',
      1,
    ],
    [
      'other bytes than the list names',
      async ({ file }) => {
        await writeFile(file, 'damaged');
        return ['web-1', '--file', file];
      },
      'SOFTWARE_DAMAGED',
      1,
    ],
  ])('sends nothing for %s', async (_what, words, code, exit) => {
    const api = await startFakeApi();
    const ended = await upgrade(api, ...(await words(await built())));
    expect(ended.err).toContain(`(${code})`);
    expect({ exit: ended.code, requests: api.requests.length }).toEqual({ exit, requests: 0 });
  });

  it('passes on what the server denies, and has pushed nothing', async () => {
    const api = await startFakeApi();
    const { file } = await built();
    api.on('POST /api/v1/node-upgrades', (_, response) => problem(response, 409, 'UPGRADE_SERVER_FIRST', 'too high'));
    const { err, code } = await upgrade(api, 'web-1', '--file', file);
    expect({ code, requests: api.requests.length }).toEqual({ code: 8, requests: 1 });
    expect(err).toContain('too high (UPGRADE_SERVER_FIRST)');
  });
});

describe('isthmus mesh status', () => {
  const node = { role: 'tentacle', site: 'eu', parents: [], state: 'active', live: 'online', behind: null, clones: [] };

  async function status(versionSkew: Mesh['versionSkew'] | undefined) {
    const api = await startFakeApi();
    const nodes = ['web-1', 'web-2'].map((id) => ({
      id,
      softwareVersion: id === 'web-1' ? '0.1.0' : '0.3.0',
      ...node,
    }));
    api.on('GET /api/v1/mesh', (_, response) => json(response, { nodes, links: [], versionSkew }));
    api.on('GET /api/v1/nodes', (_, response) => json(response, { items: [] }));
    return (await isthmus([...api.args, 'mesh', 'status'])).out;
  }

  it('names the nodes that are behind the server, or ahead of it', async () => {
    const out = await status({ serverVersion: '0.2.0', behind: ['web-1'], ahead: ['web-2'] });
    expect(out).toContain('behind the server, which runs 0.2.0: web-1 0.1.0. `isthmus node upgrade NODE`');
    expect(out).toContain('--file isthmus-0.2.0-linux-ARCH.tar.gz');
    expect(out).toContain('ahead of the server, which runs 0.2.0: web-2 0.3.0. Upgrade the server on its host');
  });

  it('has no such line when all run the same, or the server does not tell', async () => {
    for (const skew of [{ serverVersion: '0.2.0', behind: [], ahead: [] }, undefined])
      expect(await status(skew)).not.toMatch(/behind the server|ahead of the server/);
  });
});
