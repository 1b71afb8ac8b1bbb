// The exit code and message of every kind of failure of a command.
import { readFile, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { exitCodeTable, EXIT_CODES } from '../../cli/exit-codes.ts';
import { json, problem, startFakeApi } from '../support/fake-api.ts';
import { createTestMesh } from '../support/identities.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

const dayMs = 86_400_000;

describe('usage', () => {
  it.each([
    [['machin', 'list'], 'machine'],
    [['machine', 'lst'], 'list'],
    [['machine', 'list', '--envronment', 'x'], '--environment'],
    [['help', 'machine', 'set-rout'], 'set-route'],
    [['help', 'exit-code'], 'exit-codes'],
  ])('a typo exits 2 and says what was meant: %j', async (argv, meant) => {
    const { code, err, out } = await isthmus(argv);
    expect(code).toBe(2);
    expect(err).toMatch(/did you mean/i);
    expect(err).toContain(meant);
    expect(out).toBe('');
  });

  it.each([
    ['an output form that does not exist', ['-o', 'jsn', 'machine', 'list']],
    ['a missing argument', ['machine', 'show']],
    ['one argument too many', ['site', 'list', 'x']],
    ['a missing option', ['deploy', 'web', '1.0.0']],
    ['a duration without a unit', ['token', 'create', '--role', 'relay', '--site', 'eu', '--ttl', '5']],
    ['a role that does not exist', ['token', 'create', '--role', 'rely', '--site', 'eu']],
    ['no server given', ['--context', '/dev/null', 'machine', 'list']],
    ['a script without machines', ['script', 'run', '--file', '-']],
  ])('%s exits 2', async (_name, argv) => {
    const { code, err } = await isthmus(argv);
    expect(err).not.toBe('');
    expect(code).toBe(2);
  });

  it('every command has help with examples', async () => {
    const { addCommands, createProgram } = await import('../../cli/program.ts');
    const { captureTerminal } = await import('../support/terminal.ts');
    const { terminal } = captureTerminal();
    const missing: string[] = [];
    const { program, cli } = createProgram(terminal);
    await addCommands(program, cli);
    const visit = async (command: typeof program, words: string[]): Promise<void> => {
      const { out, code } = await isthmus([...words, '--help']);
      if (code !== 0 || !/^Examples:$/m.test(out)) missing.push(words.join(' '));
      for (const child of command.commands) await visit(child, [...words, child.name()]);
    };
    await visit(program, []);
    expect(missing).toEqual([]);
  });

  it('the table of exit codes is the one in docs/operations.md', async () => {
    const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8').then((text) =>
      text.replace(/ +/g, ' '),
    );
    const rows = Object.values(EXIT_CODES).map(({ code, meaning }) => `| ${code} | ${meaning} |`);
    for (const row of rows) expect(page).toContain(row);
    expect(await isthmus(['help', 'exit-codes'])).toMatchObject({
      code: 0,
      out: expect.stringContaining(exitCodeTable()) as string,
    });
  });
});

describe('secrets', () => {
  const secrets = [
    ['isk', '0123456789', 'abcdefghijklmnopqrstuvwxyz'].join('_'),
    ['ist', '01jabcdef', 'ABCDEFGHIJKLMNOPQRSTUVWX-_'].join('_'),
  ];
  it.each([
    ['as an argument', (secret: string) => ['machine', 'show', secret]],
    ['as an option', (secret: string) => ['join', '--token-file', secret]],
    ['inside an option', (secret: string) => [`--api-key-file=${secret}`, 'machine', 'list']],
    ['after an option that does not exist', (secret: string) => ['machine', 'list', '--api-key', secret]],
  ])('on the command line %s are rejected and not repeated', async (_name, argv) => {
    for (const secret of secrets) {
      const { code, err, out } = await isthmus(argv(secret));
      expect(code).toBe(2);
      expect(err).toContain('SECRET_ON_ARGV');
      expect(err).toMatch(/file/);
      expect(err + out).not.toContain(secret.slice(-12));
    }
  });

  it('a sensitive variable has no value on the command line', async () => {
    const api = await startFakeApi();
    const { code, err } = await isthmus([
      ...api.args,
      'project',
      'variables',
      'set',
      'web',
      'P',
      'hunter2',
      '--sensitive',
    ]);
    expect(code).toBe(2);
    expect(err).toContain('SECRET_ON_ARGV');
    expect(err).not.toContain('hunter2');
    expect(api.requests).toEqual([]);
  });

  it('a sensitive variable is read from standard input', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/projects/web/variables', (_request, response) => json(response, { items: [] }));
    api.on('POST /api/v1/projects/web/variables', (_request, response) => json(response, { id: 'v1' }, 201));
    const argv = [...api.args, 'project', 'variables', 'set', 'web', 'P', '--sensitive', '--file', '-'];
    const { code, out, err } = await isthmus(argv, { stdin: 'hunter2\n' });
    expect(code).toBe(0);
    expect(JSON.parse(api.requests.at(-1)!.body)).toMatchObject({ name: 'P', value: 'hunter2', sensitive: true });
    expect(out + err).not.toContain('hunter2');
  });
});

describe('the connection to the server', () => {
  it('sends the key, and prints only JSON with -o json', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/sites', (_request, response) =>
      json(response, { items: [{ id: 'eu', name: 'eu', description: '' }] }),
    );
    const { code, out } = await isthmus([...api.args, 'site', 'list', '-o', 'json']);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual([{ id: 'eu', name: 'eu', description: '' }]);
    expect(api.requests[0]?.headers['authorization']).toBe(`Bearer ${api.apiKey}`);
  });

  it('reads every page of a list', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/sites', ({ url }, response) => {
      const cursor = new URL(url, 'https://x').searchParams.get('cursor');
      json(response, cursor === null ? { items: [{ id: 'a' }], next: 'more' } : { items: [{ id: 'b' }] });
    });
    const { out } = await isthmus([...api.args, '-o', 'json', 'site', 'list']);
    expect((JSON.parse(out) as { id: string }[]).map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('exits 3 when nothing listens', async () => {
    const api = await startFakeApi();
    const { code, err } = await isthmus([...api.args, '--server', 'https://127.0.0.1:1', 'site', 'list']);
    expect(code).toBe(3);
    expect(err).toContain('SERVER_UNREACHABLE');
    expect(err).toContain('what to do:');
  });

  it('exits 3 when what listens does not speak TLS', async () => {
    const api = await startFakeApi();
    const server = createServer((socket) => void socket.resume().end('SSH-2.0-nope\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const address = server.address() as { port: number };
    const { code } = await isthmus([...api.args, '--server', `https://127.0.0.1:${address.port}`, 'site', 'list']);
    expect(code).toBe(3);
  });

  it.each([
    ['a page that is missing', 404, '<h1>not here</h1>'],
    ['a page that is there', 200, '<h1>hello</h1>'],
    ['JSON of its own', 500, '{"error":"no"}'],
  ])('exits 3 when another program answers with %s, and names the context file', async (_, status, body) => {
    const server = createHttpServer((_request, response) => response.writeHead(status).end(body));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as { port: number };
    const context = join(await tempDir(), 'context.json');
    await writeFile(context, JSON.stringify({ server: `http://127.0.0.1:${port}` }));
    const { code, err } = await isthmus(['--context', context, 'site', 'list']);
    expect(code).toBe(3);
    expect(err).toContain(`what answers at http://127.0.0.1:${port} is not Isthmus`);
    expect(err).toContain(`context:    ${context};`);
  });

  it('exits 4 on the authority of another mesh, and sends nothing', async () => {
    const api = await startFakeApi();
    const other = await createTestMesh('other-mesh');
    const ca = join(await tempDir(), 'ca.pem');
    await writeFile(ca, other.authorityPem);
    const { code, err } = await isthmus([...api.args, '--ca', ca, 'site', 'list']);
    expect(code).toBe(4);
    expect(err).toContain('SERVER_WRONG_AUTHORITY');
    expect(api.requests).toEqual([]);
  });

  it('exits 4 when a relay of the mesh answers instead of the server, and sends nothing', async () => {
    const api = await startFakeApi({ role: 'relay' });
    const { code } = await isthmus([...api.args, 'site', 'list']);
    expect(code).toBe(4);
    expect(api.requests).toEqual([]);
  });

  it.each([
    ['has expired', { nowMs: Date.now() - 9 * dayMs }],
    ['is not valid yet', { nowMs: Date.now() + dayMs }],
  ])("exits 6 when the server's certificate %s by this clock, with both dates", async (_name, times) => {
    const api = await startFakeApi(times);
    const { code, err } = await isthmus([...api.args, 'site', 'list']);
    expect(code).toBe(6);
    expect(err).toContain('SERVER_CLOCK_SKEW');
    expect(err).toMatch(/valid from .* to .*, and it is .* here/);
    expect(api.requests).toEqual([]);
  });

  it.each([
    [401, 'UNAUTHENTICATED', 5],
    [403, 'FORBIDDEN', 5],
    [404, 'NOT_FOUND', 7],
    [412, 'PRECONDITION_FAILED', 8],
    [409, 'IN_USE', 8],
    [422, 'INVALID_FIELD', 2],
    [500, 'INTERNAL', 70],
    [418, 'SOME_NEWER_CODE', 10],
  ])('an answer %i %s exits %i', async (status, name, expected) => {
    const api = await startFakeApi();
    api.on('GET /api/v1/sites', (_request, response) => problem(response, status, name, `detail of ${name}`));
    const { code, err } = await isthmus([...api.args, 'site', 'list']);
    expect(err).toContain(`detail of ${name} (${name})`);
    expect(err).toContain(`what to do: remedy of ${name}`);
    expect(code).toBe(expected);
  });

  it('does not send a key in clear to another machine', async () => {
    const api = await startFakeApi();
    const { code, err } = await isthmus([...api.args, '--server', 'http://192.0.2.1:80', 'site', 'list']);
    expect(code).toBe(2);
    expect(err).toContain('without TLS');
  });
});

it.each([
  ['a folder that cannot be created', ['init', '--data', '/dev/null/server'], /ENOTDIR/],
  ['a folder below a file', ['quickstart', '--once', '--data', '/dev/null/x'], /ENOTDIR/],
])('%s exits 9 with the words of the operating system, and no stack', async (_name, argv, words) => {
  const { code, err } = await isthmus(argv);
  expect(code).toBe(9);
  expect(err).toMatch(words);
  expect(err).toMatch(/\((FILE|DATA_DIR)_UNUSABLE\)\n {2}what to do: /);
  expect(err).not.toContain('    at ');
});

describe('destructive commands', () => {
  it.each([
    ['machine', 'delete', 'eu-1'],
    ['node', 'revoke', 'eu-1'],
    ['project', 'delete', 'web'],
    ['site', 'delete', 'eu'],
  ])('%s %s without a terminal and without --yes: exits 2 and does nothing', async (...argv) => {
    const api = await startFakeApi();
    const { code, err } = await isthmus([...api.args, ...argv]);
    expect(code).toBe(2);
    expect(err).toContain('--yes');
    expect(api.requests).toEqual([]);
  });

  it('ask the user, only about what exists, and delete the version that was read', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/sites/eu', (_request, response) => json(response, { id: 'eu' }, 200, { etag: '"7"' }));
    api.on('DELETE /api/v1/sites/eu', (_request, response) => response.writeHead(204).end());
    const typing = (stdin: string) => ({ stdin, interactive: true });
    const absent = await isthmus([...api.args, 'site', 'delete', 'us'], typing('y\n'));
    expect(absent).toMatchObject({ code: 7, out: '' });
    expect(absent.err).not.toContain('[y/N]');
    const rejected = await isthmus([...api.args, 'site', 'delete', 'eu'], typing('n\n'));
    expect(rejected).toMatchObject({ code: 130, out: '' });
    const unanswered = await isthmus([...api.args, 'site', 'delete', 'eu'], typing(''));
    expect(unanswered).toMatchObject({ code: 130, out: '' });
    expect(unanswered.err).toContain('not confirmed; nothing was done (CANCELLED)');
    expect(api.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'GET']);
    const agreed = await isthmus([...api.args, 'site', 'delete', 'eu'], typing('y\n'));
    expect(agreed).toMatchObject({ code: 0, out: 'site eu deleted\n' });
    expect(api.requests.at(-1)).toMatchObject({ method: 'DELETE', headers: { 'if-match': '"7"' } });
  });

  it('changes under the ETag it read', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/sites/eu', (_request, response) => json(response, { id: 'eu' }, 200, { etag: '"7"' }));
    api.on('DELETE /api/v1/sites/eu', (_request, response) => response.writeHead(204).end());
    expect((await isthmus([...api.args, 'site', 'delete', 'eu', '--yes'])).code).toBe(0);
    expect(api.requests.at(-1)?.headers['if-match']).toBe('"7"');
  });
});

describe('the context file', () => {
  it.each([
    ['that is missing', undefined, 'cannot read the context file'],
    ['that is no object', 'hello', 'settings are "key: value"'],
    ['whose authority is missing', '{"server":"https://x","caFile":"gone.pem"}', 'gone.pem'],
    ['whose key is no key', '{"server":"http://127.0.0.1:1","apiKeyFile":"context.json"}', 'holds no API key'],
  ])('%s: says what is wrong, and the command that writes it', async (_, text, said) => {
    const context = join(await tempDir(), 'context.json');
    if (text !== undefined) await writeFile(context, text, { mode: 0o600 });
    const { code, err } = await isthmus(['--context', context, 'site', 'list']);
    expect({ code, err }).toEqual({ code: 9, err: expect.stringContaining(said) as string });
    expect(err).toContain(`\`isthmus login --context ${context} --server URL --ca FILE --api-key-file FILE\``);
  });

  it('that is broken is written anew by a login that names everything', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/whoami', (_request, response) => json(response, { mesh: 'm', key: 'k', role: 'admin' }));
    const context = join(await tempDir(), 'context.json');
    await writeFile(context, 'hello');
    expect(await isthmus(['--context', context, 'login'])).toMatchObject({ code: 9 });
    expect(await isthmus([...api.args, '--context', context, 'login'])).toMatchObject({ code: 0, err: '' });
    expect(await isthmus(['--context', '/dev/null', 'login'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('login needs --server, --ca and --api-key-file') as string,
    });
  });

  it('names server, authority and key, relative to itself', async () => {
    const api = await startFakeApi();
    api.on('GET /api/v1/whoami', (_request, response) => json(response, { id: 'admin' }));
    api.on('GET /api/v1/sites', (_request, response) => json(response, { items: [] }));
    const context = join(await tempDir(), 'here', 'context.json');
    expect((await isthmus([...api.args, '--context', context, 'login'])).code).toBe(0);
    expect((await isthmus(['--context', context, 'site', 'list'])).code).toBe(0);
    expect(await readFile(context, 'utf8')).not.toContain(api.apiKey);
  });

  it('exits 9 with file, line and key when it is wrong', async () => {
    const context = join(await tempDir(), 'context.json');
    await writeFile(context, '{\n  "sever": "https://x"\n}\n');
    const { code, err } = await isthmus(['--context', context, 'site', 'list']);
    expect(code).toBe(9);
    expect(err).toContain('context.json:2: "sever" is not a setting; did you mean "server"?');
    expect(err).toContain(`\`isthmus login --context ${context} --server URL`);
  });
});
