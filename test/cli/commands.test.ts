// What commands send to the API and write to files.
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { run } from '../../cli/run.ts';
import { json, startFakeApi } from '../support/fake-api.ts';
import { createTestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { captureTerminal, isthmus } from '../support/terminal.ts';
import { waitFor } from '../support/wait.ts';

const dayMs = 86_400_000;

async function mode(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

describe('init', () => {
  it('creates a mesh and a context; the key is in private files and not on the screen', async () => {
    const folder = await tempDir();
    const context = join(folder, 'context.json');
    const { code, out, err } = await isthmus(['--context', context, 'init', '--data', join(folder, 'server')]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const key = (await readFile(join(folder, 'context.key'), 'utf8')).trim();
    expect(key).toMatch(/^isk_/);
    expect(out).not.toContain(key);
    expect(await mode(join(folder, 'context.key'))).toBe(0o600);
    expect(JSON.parse(await readFile(context, 'utf8'))).toMatchObject({ server: 'http://127.0.0.1:8443' });
    expect(await readFile(join(folder, 'server/config.yaml'), 'utf8')).toContain('healthCheckIntervalS: 300\n');

    const again = await isthmus(['--context', context, 'init', '--data', join(folder, 'server')]);
    expect(again.code).toBe(8);
    expect((await readFile(join(folder, 'context.key'), 'utf8')).trim()).toBe(key);
  });

  it('rejects an impossible folder at once, and creates nothing', async () => {
    const folder = await tempDir();
    const [context, file] = [join(folder, 'context.json'), join(folder, 'file')];
    await writeFile(file, 'mine');
    for (const data of ['/proc/nowhere/x', '/proc/x', file, join(file, 'server'), join(file, 'deep/server')]) {
      const { code, err } = await isthmus(['--context', context, 'init', '--data', data]);
      expect({ data, code }).toEqual({ data, code: 9 });
      expect(err).toMatch(/^isthmus: cannot keep data in \/.* \(DATA_DIR_UNUSABLE\)$/m);
    }
    expect(await readdir(folder)).toEqual(['file']);
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  it("leaves another mesh's context unchanged", async () => {
    const folder = await tempDir();
    const context = join(folder, 'context.json');
    await writeFile(context, '{}');
    const argv = ['--context', context, 'init', '--mesh-id', 'second', '--data', join(folder, 'server')];
    const { code, out } = await isthmus(argv);
    expect(code).toBe(0);
    expect(await readFile(context, 'utf8')).toBe('{}');
    // It writes another context, which the printed commands name.
    const own = join(folder, 'second.json');
    expect(out).toContain(`${own}, because ${context} is another mesh's`);
    expect(out).toContain(`isthmus --context ${own} site create eu`);
    expect(JSON.parse(await readFile(own, 'utf8'))).toMatchObject({ server: 'http://127.0.0.1:8443' });
  });

  it("takes the place of the context of another mesh at the same address, and keeps that one's key", async () => {
    const folder = await tempDir();
    const context = join(folder, 'context.json');
    const init = (data: string) =>
      isthmus(['--context', context, 'init', '--mesh-id', data, '--data', join(folder, data)]);
    const key = async (name: string) => (await readFile(join(folder, name), 'utf8')).trim();
    await init('first');
    const before = await key('context.key');
    const { code, out } = await init('second');
    expect(code).toBe(0);
    expect(out).toContain(`the one of another mesh at http://127.0.0.1:8443 is ${join(folder, 'before-second.json')}`);
    expect(await key('context.key')).toBe(await key('second/admin.key'));
    expect(await key('before-second.key')).toBe(before);
    expect(JSON.parse(await readFile(join(folder, 'before-second.json'), 'utf8'))).toMatchObject({
      apiKeyFile: 'before-second.key',
    });
  });

  it('rejects one port for both listeners, and creates nothing', async () => {
    const folder = await tempDir();
    const argv = ['--context', join(folder, 'c.json'), 'init', '--data', join(folder, 'server')];
    const { code, err } = await isthmus([...argv, '--api-listen', '127.0.0.1:8444']);
    expect(code).toBe(2);
    expect(err).toContain('cannot both listen on port 8444 (INVALID_FIELD)');
    expect(await readdir(folder)).toEqual([]);
  });

  it('addresses an API beyond loopback with TLS', async () => {
    const folder = await tempDir();
    const context = join(folder, 'context.json');
    const argv = ['--context', context, 'init', '--data', join(folder, 'server'), '--api-listen', '0.0.0.0:9443'];
    expect((await isthmus(argv)).code).toBe(0);
    expect(JSON.parse(await readFile(context, 'utf8'))).toMatchObject({ server: 'https://127.0.0.1:9443' });
  });
});

describe('cert', () => {
  async function dataDir(options: { nowMs?: number } = {}): Promise<string> {
    const mesh = await createTestMesh();
    const folder = await tempDir();
    writeIdentity(identityFolder(folder), await mesh.identity('eu', 'relay', { site: 'eu', ...options }));
    return folder;
  }

  it('shows the certificate of this machine with both dates and the local time', async () => {
    const { code, out } = await isthmus(['-o', 'json', 'cert', 'show', '--data', await dataDir()]);
    expect(code).toBe(0);
    const shown = JSON.parse(out) as Record<string, number>;
    expect(shown).toMatchObject({ node: 'eu', role: 'relay', pin: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    expect(shown['notBefore']).toBeLessThan(shown['localTime']!);
    expect(shown['notAfter']).toBeGreaterThan(shown['localTime']!);
  });

  it('says what is wrong with an unusable one, with its dates and the present time', async () => {
    const [mine, other] = [await createTestMesh(), await createTestMesh()];
    const folder = await tempDir();
    const identity = await other.identity('eu', 'relay', { site: 'eu', nowMs: Date.now() - 9 * dayMs });
    writeIdentity(identityFolder(folder), { ...identity, authorityPem: mine.authorityPem });
    const { code, err } = await isthmus(['cert', 'show', '--data', folder]);
    expect(code).toBe(9);
    expect(err).toMatch(
      /was not issued by the authority of this mesh \(subject .*, valid from .* to .*; the clock here/,
    );
    const clock = Date.parse(/the clock here says ([^)]*)\)/.exec(err)?.[1] ?? '');
    expect(Math.abs(Date.now() - clock)).toBeLessThan(dayMs / 24);
  });

  it('prints the authority for --ca, and as JSON', async () => {
    const folder = await dataDir();
    const { out } = await isthmus(['cert', 'authority', '--data', folder]);
    expect(out).toMatch(/^-----BEGIN CERTIFICATE-----\n/);
    const { authorityPem } = JSON.parse((await isthmus(['-o', 'json', 'cert', 'authority', '--data', folder])).out) as {
      authorityPem: string;
    };
    expect(authorityPem.trimEnd()).toBe(out.trimEnd());
  });

  it('exits 1 when it has expired, 6 when it is not valid yet by this clock', async () => {
    expect((await isthmus(['cert', 'show', '--data', await dataDir({ nowMs: Date.now() - 8 * dayMs })])).code).toBe(1);
    expect((await isthmus(['cert', 'show', '--data', await dataDir({ nowMs: Date.now() + dayMs })])).code).toBe(6);
  });

  it('exits 9 where there is none', async () => {
    expect((await isthmus(['cert', 'show', '--data', await tempDir()])).code).toBe(9);
  });
});

describe('join', () => {
  const token = ['ist', '01234567-0123-7123-8123-012345678901', 'a'.repeat(43)].join('_');
  const pin = 'ab'.repeat(32);

  it.each([
    ['without a path to the mesh', [], 2],
    ['to a name that does not resolve', ['--address', 'nowhere.invalid:8444'], 3],
    ['to a port that nothing listens on', ['--address', '127.0.0.1:1'], 3],
  ])('%s exits and changes nothing', async (_name, options, expected) => {
    const folder = await tempDir();
    const argv = ['join', '--data', join(folder, 'deep/er'), '--pin', pin, '--token-file', '-', ...options];
    const { code, err, out } = await isthmus(argv, { stdin: `${token}\n` });
    expect(code, err).toBe(expected);
    expect(err).toContain('what to do:');
    expect(out + err).not.toContain('a'.repeat(20));
    expect(await readdir(folder)).toEqual([]);
  });

  it('interrupted exits 130, says so in one line, and changes nothing', async () => {
    const folder = await tempDir();
    const stopping = new AbortController();
    const { terminal, written } = captureTerminal({ stdin: `${token}\n`, signal: stopping.signal });
    const argv = ['join', '--data', join(folder, 'node'), '--pin', pin, '--token-file', '-', '--listen', '127.0.0.1:0'];
    const code = run(argv, terminal);
    await waitFor(() => written().out.includes('to be dialled at'));
    stopping.abort();
    expect(await code).toBe(130);
    expect(written().err).toBe(
      'isthmus: stopped before it had joined; nothing was changed here, and the token can still be used\n',
    );
    expect(await readdir(folder)).toEqual([]);
  });

  it('exits 9 on an empty token, 2 on a malformed pin', async () => {
    const argv = ['join', '--data', await tempDir(), '--token-file', '-', '--address', '127.0.0.1:1'];
    expect((await isthmus([...argv, '--pin', pin])).code).toBe(9);
    expect((await isthmus([...argv, '--pin', 'abc'], { stdin: token })).code).toBe(2);
  });
});

describe('key', () => {
  const record = { id: 'a9bd2c5b68fc', name: 'ci', role: 'operator', createdAt: 0, expiresAt: null, revokedAt: null };
  const key = ['isk', record.id, 'z'.repeat(43)].join('_');
  const create = ['key', 'create', '--name', 'ci', '--role', 'operator'];

  it('is created, with --out into a private file, with --expires for a time from now', async () => {
    const api = await startFakeApi();
    api.on('POST /api/v1/api-keys', (_request, response) => json(response, { ...record, key }, 201));
    expect((await isthmus([...api.args, ...create])).out).toBe(`${key}\n`);
    const file = join(await tempDir(), 'ci.key');
    const { code, out, err } = await isthmus([...api.args, ...create, '--expires', '90d', '--out', file]);
    expect(code, err).toBe(0);
    expect(out + err).not.toContain('zzz');
    expect(await readFile(file, 'utf8')).toBe(`${key}\n`);
    expect(await mode(file)).toBe(0o600);
    const { expiresAt } = JSON.parse(api.requests.at(-1)!.body) as { expiresAt: number };
    expect(Math.abs(expiresAt - Date.now() - 90 * dayMs)).toBeLessThan(dayMs);
  });

  it('is not created when its file cannot be, and leaves no file when the server rejects it', async () => {
    const api = await startFakeApi();
    const folder = await tempDir();
    const taken = join(folder, 'taken');
    await writeFile(taken, 'mine');
    const { code, err } = await isthmus([...api.args, ...create, '--out', taken]);
    expect(code).toBe(9);
    expect(err).toContain('EEXIST');
    expect(api.requests).toEqual([]);
    expect(await readFile(taken, 'utf8')).toBe('mine');
    expect((await isthmus([...api.args, ...create, '--out', join(folder, 'new')])).code).toBe(7);
    expect(await readdir(folder)).toEqual(['taken']);
  });

  it('replaces the present key, and the old one is revoked', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/whoami', (_request, response) => json(response, { key: 'k', role: 'admin', mesh: 'm' }));
    api.on('DELETE /api/v1/api-keys/old', (_request, response) => response.writeHead(204).end());
    const folder = await tempDir();
    const context = ['--context', join(folder, 'context.json')];
    expect((await isthmus([...api.args, ...context, 'login'])).code).toBe(0);
    await writeFile(join(folder, 'new'), `${key}\n`);
    const login = await isthmus([...context, 'login', '--api-key-file', join(folder, 'new')]);
    expect(login.code, login.err).toBe(0);
    expect(login.out).toContain('logged in to mesh m with key k (admin)');
    expect((await isthmus([...context, 'key', 'revoke', 'old'])).code).toBe(2);
    expect((await isthmus([...context, 'key', 'revoke', 'old', '--yes'])).code).toBe(0);
    expect(api.requests.at(-1)?.headers['authorization']).toBe(`Bearer ${key}`);
  });
});

describe('token', () => {
  it('is revoked by its id', async () => {
    const api = await startFakeApi();
    api.on('DELETE /api/v1/tokens/k1', (_request, response) => response.writeHead(204).end());
    const revoke = [...api.args, 'token', 'revoke', 'k1'];
    expect(await isthmus(revoke)).toMatchObject({
      code: 2,
      err: expect.stringContaining('CONFIRMATION_NEEDED') as string,
    });
    expect(await isthmus([...revoke, '--yes'])).toMatchObject({ code: 0, out: 'token k1 revoked\n' });
  });

  it('goes with --out to a private file, and not to the screen', async () => {
    const api = await startFakeApi();
    const token = ['ist', 'x'.repeat(36), 'y'.repeat(43)].join('_');
    const issued = {
      id: 'k1',
      token,
      pin: 'aa',
      expiresAt: Date.now(),
      othersOpen: ['k0'],
      joinCommand: 'isthmus join --pin aa --token-file -',
    };
    api.on('POST /api/v1/tokens', (_request, response) => json(response, issued, 201));
    const file = join(await tempDir(), 'token');
    const argv = [...api.args, 'token', 'create', '--role', 'tentacle', '--site', 'eu', '--parent', 'eu'];
    const parents = ['--parent', 'eu-2=web-1.example:8444', '--dial', 'web-1.internal:8444'];
    const rest = [
      '--environment',
      'a,b',
      '--target-role',
      'web',
      '--route',
      'eu,eu-pci',
      '--route',
      'direct',
      '--ttl',
      '5m',
    ];
    const { code, out, err } = await isthmus([...argv, ...parents, ...rest, '--out', file]);
    expect(code).toBe(0);
    expect(out).not.toContain(token);
    expect(out).toContain(`\n\nisthmus join --pin aa --token-file ${file}\n`);
    // What may be pasted is the last of standard output.
    expect(out.endsWith(`--token-file ${file}\n`)).toBe(true);
    expect(err).toContain(
      'From now on the parent dials the address of this one: run the command above also where a join waits with the other. To revoke it:\n  isthmus token revoke k0',
    );
    expect(await readFile(file, 'utf8')).toBe(`${token}\n`);
    expect(await mode(file)).toBe(0o600);
    expect(JSON.parse(api.requests.at(-1)!.body)).toEqual({
      role: 'tentacle',
      site: 'eu',
      parents: [
        { node: 'eu', dialAddress: 'web-1.internal:8444' },
        { node: 'eu-2', dialAddress: 'web-1.example:8444' },
      ],
      environments: ['a', 'b'],
      targetRoles: ['web'],
      routes: [{ kind: 'path', via: ['eu', 'eu-pci'] }, { kind: 'direct' }],
      ttlS: 300,
    });
    expect(api.requests.at(-1)?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('package', () => {
  it('pushes a file with its name, and keeps a download only if its digest matches', async () => {
    const api = await startFakeApi();
    const folder = await tempDir();
    const file = join(folder, 'web-1.0.0.tgz');
    await writeFile(file, 'some bytes');
    const sha256 = createHash('sha256').update('some bytes').digest('hex');
    const version = { id: 'Web', version: '01.0', sha256, sizeBytes: 10, format: 'tar.gz' };
    api.on('POST /api/v1/packages', (_request, response) => json(response, version, 201));
    api.on('GET /api/v1/packages/web/versions/1.0.0', (_request, response) => json(response, version));
    expect((await isthmus([...api.args, 'package', 'push', file, 'web', '1.0.0'])).code).toBe(0);
    const push = api.requests[0]!;
    expect(push.url).toContain('format=tar.gz');
    expect(push.headers).toMatchObject({ 'x-package-id': 'web', 'x-package-version': '1.0.0', 'content-length': '10' });
    expect(push.body).toBe('some bytes');

    const target = join(folder, 'out');
    const download = [...api.args, 'package', 'download', 'web', '1.0.0', '--to', target];
    for (const [content, expected] of [
      ['other bytes', 'PACKAGE_HASH_MISMATCH'],
      ['some bytes', undefined],
    ] as const) {
      api.on('GET /api/v1/packages/web/versions/1.0.0/content', (_request, response) => response.end(content));
      const { err } = await isthmus(download);
      if (expected === undefined) expect(await readFile(target, 'utf8')).toBe('some bytes');
      else expect(err).toContain(expected);
      expect((await readdir(folder)).sort()).toEqual(
        expected === undefined ? ['out', 'web-1.0.0.tgz'] : ['web-1.0.0.tgz'],
      );
    }
    // In any spelling, to a file that is named like what was pushed.
    const before = process.cwd();
    process.chdir(folder);
    onTestFinished(() => process.chdir(before));
    expect((await isthmus([...api.args, 'package', 'download', 'web', '1.0.0'])).code).toBe(0);
    expect(await readFile(join(folder, 'Web-01.0.tar.gz'), 'utf8')).toBe('some bytes');
  });

  it.each([
    ['web.ZIP', 'format=zip'],
    ['web-1.0.jar', 'format=jar&fileName=web-1.0.jar'],
    ['web.exe', 'format=file&fileName=web.exe'],
  ])('pushes %s as %s', async (name, query) => {
    const api = await startFakeApi();
    api.on('POST /api/v1/packages', (_request, response) =>
      json(response, { id: 'web', version: '1.0.0', sizeBytes: 10, sha256: 'a' }, 201),
    );
    const file = join(await tempDir(), name);
    await writeFile(file, 'some bytes');
    expect((await isthmus([...api.args, 'package', 'push', file, 'web', '1.0.0'])).code).toBe(0);
    expect(api.requests[0]!.url).toMatch(new RegExp(`\\?${query}$`));
  });
});

describe('project', () => {
  it('reads its process from YAML, and rejects duplicates and aliases', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/projects/web', (_request, response) => json(response, { id: 'web' }, 200, { etag: '"3"' }));
    const process = [{ name: 'check', targetRoles: ['web', 'wbe'] }];
    api.on('PUT /api/v1/projects/web/process', (_request, response) => json(response, { id: 'web', process }));
    api.on('GET /api/v1/machines', (_request, response) => json(response, { items: [{ targetRoles: ['web'] }] }));
    const set = [...api.args, 'project', 'set-process', 'web', '-'];
    const good =
      'steps:\n  - name: check\n    kind: script\n    targetRoles: [web]\n    script: { interpreter: bash, body: "true" }\n';
    expect(await isthmus(set, { stdin: good })).toMatchObject({
      code: 0,
      err: 'note: no machine has the role wbe yet\n',
    });
    const put = api.requests.find(({ method }) => method === 'PUT');
    expect(JSON.parse(put!.body)).toMatchObject({ steps: [{ name: 'check', kind: 'script' }] });
    expect(put?.headers['if-match']).toBe('"3"');
    const before = api.requests.length;
    for (const bad of ['steps: []\nsteps: []\n', 'a: &a []\nsteps: *a\n', 'stages: []\n']) {
      expect((await isthmus(set, { stdin: bad })).code).toBe(2);
    }
    expect(api.requests).toHaveLength(before);
  });
});

describe('tasks', () => {
  it('sends a script from standard input to the machines chosen', async () => {
    const api = await startFakeApi();
    api.on('POST /api/v1/scripts', (_request, response) => json(response, { id: 't1' }, 202));
    const argv = [
      ...api.args,
      'script',
      'run',
      '--file',
      '-',
      '--machine',
      'eu-1,eu-2',
      '--time-limit',
      '5m',
      '--detach',
    ];
    const { code, out } = await isthmus(argv, { stdin: 'uptime\n' });
    expect(code).toBe(0);
    expect(out).toContain('isthmus task follow t1');
    expect(JSON.parse(api.requests[0]!.body)).toEqual({
      body: 'uptime\n',
      interpreter: 'bash',
      machines: ['eu-1', 'eu-2'],
      timeLimitS: 300,
    });
  });

  it.each<[string, boolean, readonly string[], boolean]>([
    ['on a terminal, follows', true, [], true],
    ['on a terminal, returns with --detach', true, ['--detach'], false],
    ['elsewhere, returns', false, [], false],
    ['elsewhere, follows with --follow', false, ['--follow'], true],
  ])('that starts a task: %s', async (_, redraws, more, follows) => {
    const commands = [
      ['script', 'run', '--file', '-', '--machine', 'eu-1'],
      ['health', 'check'],
      ['deploy', 'web', '1.0.0', '--to', 'prod'],
      ['task', 'retry', 't0'],
    ];
    for (const words of commands) {
      const api = await startFakeApi();
      const ended = { id: 't1', kind: 'script', title: 'x', state: 'succeeded', createdAt: 0, machines: [] };
      for (const route of ['scripts', 'health-checks', 'deployments', 'tasks/t0/retry']) {
        api.on(`POST /api/v1/${route}`, (_request, response) => json(response, { id: 't1', title: 'x' }, 202));
      }
      api.on('GET /api/v1/tasks/t1', (_request, response) => json(response, ended));
      api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end('id: 1\nevent: end\ndata: {"state":"succeeded"}\n\n');
      });
      const { terminal, written } = captureTerminal({ stdin: 'uptime\n' });
      expect(await run([...api.args, ...words, ...more], { ...terminal, redraws })).toBe(0);
      expect(written().out, words.join(' ')).toContain(follows ? 'task t1 succeeded' : 'isthmus task follow t1');
    }
  });

  it.each([
    [[], {}],
    [['web-1', 'web-2'], { machines: ['web-1', 'web-2'] }],
    [['web-1', '--machine', 'web-2,web-1'], { machines: ['web-1', 'web-2'] }],
  ])('health check takes the names of machines: %j', async (words, body) => {
    const api = await startFakeApi();
    api.on('POST /api/v1/health-checks', (_request, response) => json(response, { id: 't1', title: 'x' }, 202));
    expect(await isthmus([...api.args, 'health', 'check', ...words])).toMatchObject({ code: 0 });
    expect(JSON.parse(api.requests.at(-1)!.body)).toEqual(body);
  });

  it('does not follow and return at once', async () => {
    const both = await isthmus(['health', 'check', '--follow', '--detach']);
    expect(both).toMatchObject({ code: 2, err: expect.stringContaining("'--detach' cannot be used with") as string });
  });

  it('retries a task with an idempotency key, and shows the new task', async () => {
    const api = await startFakeApi();
    api.on('POST /api/v1/tasks/t1/retry', (_request, response) => json(response, { id: 't2', retryOf: 't1' }, 202));
    const { code, out } = await isthmus([...api.args, 'task', 'retry', 't1']);
    expect(code).toBe(0);
    expect(out).toContain('isthmus task follow t2');
    expect(api.requests[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('shows a release by its project and version, too', async () => {
    const api = await startFakeApi();
    const release = { id: '01j', project: 'web', version: '1.2.0', createdAt: 1, packages: [] };
    api.on('GET /api/v1/releases/01j', (_request, response) => json(response, release));
    api.on('GET /api/v1/projects/web/releases/1.2', (_request, response) => json(response, release));
    api.on('GET /api/v1/projects/web/releases/9.9.9', (_request, response) => {
      const action = { code: 'CHOOSE_OR_CREATE_RELEASE', arguments: { project: 'web', version: '9.9.9' } };
      json(response, { code: 'NOT_FOUND', detail: 'no', action }, 404);
    });
    for (const which of [['01j'], ['web', '1.2']]) {
      const { code, out } = await isthmus([...api.args, 'release', 'show', ...which]);
      expect([code, out]).toEqual([0, expect.stringContaining('1.2.0')]);
    }
    const { code, err } = await isthmus([...api.args, 'release', 'show', 'web', '9.9.9']);
    expect(code).toBe(7);
    expect(err).toContain('`isthmus release list web`');
  });

  it('deletes a release by any spelling of its version, once that is confirmed', async () => {
    const release = { id: '01jrel', project: 'web', version: '2026.09.02', packages: [], process: [] };
    const api = await startFakeApi();
    for (const path of ['projects/web/releases/2026.9.2', 'releases/01jrel'])
      api.on(`GET /api/v1/${path}`, (_request, response) => json(response, release));
    const unused = [{ id: 'shop.web', version: '1.4.0', sizeBytes: 2048 }];
    api.on('DELETE /api/v1/releases/01jrel', (request, response) =>
      json(response, {
        ...{ dryRun: request.url?.endsWith('dryRun=true') === true, freedBytes: 0, unused },
        deleted: [{ kind: 'release', name: '2026.9.2 of web' }],
      }),
    );
    const argv = [...api.args, 'release', 'delete', 'web', '2026.9.2'];
    expect(await isthmus(argv)).toMatchObject({ code: 2, err: expect.stringContaining('--yes') as string });
    expect(api.requests).toEqual([]);
    const then = 'no other release uses package shop.web 1.4.0 (2.00 KiB)\n';
    const dryRun = await isthmus([...argv, '--dry-run']);
    expect(dryRun).toMatchObject({ code: 0, out: `release 2026.9.2 of web would be deleted\n${then}` });
    expect(api.requests.at(-1)).toMatchObject({ method: 'DELETE', url: '/api/v1/releases/01jrel?dryRun=true' });
    const out = `release 2026.9.2 of web deleted\n${then}`;
    expect(await isthmus([...argv, '--yes'])).toMatchObject({ code: 0, out });
    expect(api.requests.at(-1)).toMatchObject({ method: 'DELETE', url: '/api/v1/releases/01jrel' });
  });

  it('sets routes in order of preference', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/machines/eu-1', (_request, response) => json(response, { id: 'eu-1' }, 200, { etag: '"1"' }));
    api.on('PATCH /api/v1/machines/eu-1', (_request, response) => json(response, { id: 'eu-1' }));
    expect((await isthmus([...api.args, 'machine', 'set-route', 'eu-1', 'eu,eu-pci', 'direct'])).code).toBe(0);
    expect(JSON.parse(api.requests.at(-1)!.body)).toEqual({
      routes: [{ kind: 'path', via: ['eu', 'eu-pci'] }, { kind: 'direct' }],
    });
  });

  it('sets parents at the version that was read, each with its address, and rejects an address of no parent', async () => {
    const api = await startFakeApi();
    const node = { id: 'web-1', parents: [{ node: 'eu-a', dialAddress: null }], desiredParents: null };
    api.on('GET /api/v1/nodes/web-1', (_request, response) => json(response, node, 200, { etag: '"7"' }));
    api.on('PUT /api/v1/nodes/web-1/parents', (_request, response) => json(response, node));
    const set = ['node', 'set-parents', 'web-1', 'eu-a', 'eu-b=10.0.0.7:8444'];
    const unknown = await isthmus([...api.args, ...set, '--address', 'eu-c=10.0.0.9:8444']);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('--address names eu-c') as string });
    expect(api.requests).toEqual([]);

    expect((await isthmus([...api.args, ...set, '--address', 'eu-a=10.0.0.8:8444'])).code).toBe(0);
    const put = api.requests.find(({ method }) => method === 'PUT')!;
    expect(put.headers['if-match']).toBe('"7"');
    expect(JSON.parse(put.body)).toEqual({
      parents: [
        { node: 'eu-a', address: '10.0.0.8:8444' },
        { node: 'eu-b', dialAddress: '10.0.0.7:8444' },
      ],
    });
  });
});
