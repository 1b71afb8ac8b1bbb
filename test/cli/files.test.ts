// Files that a command line names: read exactly or rejected before anything is sent.
import { execFile } from 'node:child_process';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { json, startFakeApi, type FakeApi } from '../support/fake-api.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

const latin1 = Buffer.from('caf\xe9: value\n', 'latin1');
const task = { id: 't1', title: 'script on eu-1' };

async function fileOf(content: string | Buffer, name = 'file'): Promise<string> {
  const file = join(await tempDir(), name);
  await writeFile(file, content);
  return file;
}

/** Commands that read a file, by what it is. */
const READERS: Readonly<Record<string, (file: string) => readonly string[]>> = {
  'a script': (file) => ['script', 'run', '--file', file, '--machine', 'eu-1', '--detach'],
  'a process': (file) => ['project', 'create', 'web', '--process', file],
  'a secret': (file) => ['project', 'variables', 'set', 'web', 'Password', '--sensitive', '--file', file],
  'an API key': (file) => ['--api-key-file', file, 'site', 'list'],
  'an authority': (file) => ['--ca', file, 'site', 'list'],
  'a join token': (file) => ['join', '--data', file, '--pin', 'x', '--token-file', file, '--address', '127.0.0.1:1'],
};

describe.each(Object.entries(READERS))('%s', (_what, argsOf) => {
  it('that is not UTF-8 is rejected with the offset, and nothing is sent', async () => {
    const api = await startFakeApi();
    const file = await fileOf(latin1);
    const { code, err } = await isthmus([...api.args, ...argsOf(file)]);
    expect(err).toContain(`${file} is not UTF-8: byte 0xe9 at offset 3 (TEXT_INVALID)`);
    expect(code).toBe(2);
    expect(api.requests).toEqual([]);
  });

  it.each(['/nonexistent', '/', '/dev/zero'])(
    'that is %s is rejected by name, never as a fault of Isthmus',
    async (file) => {
      const api = await startFakeApi();
      const { code, err } = await isthmus([...api.args, ...argsOf(file)]);
      expect(err).toContain(file);
      expect(err).toMatch(/\(FILE_UNUSABLE\)/);
      expect(code).toBe(9);
      expect(api.requests).toEqual([]);
    },
  );
});

/** What a command sent as JSON. */
const sent = (api: FakeApi): unknown => JSON.parse(api.requests.at(-1)!.body);

it('a byte order mark is left out of every file, and said', async () => {
  const api = await startFakeApi();
  api.on('POST /api/v1/scripts', (_request, response) => json(response, task, 202));
  const file = await fileOf('\ufeffset -e\n');
  const { err } = await isthmus([...api.args, ...READERS['a script']!(file)]);
  expect(err).toBe(`note: the byte order mark of ${file} was left out\n`);
  expect(sent(api)).toMatchObject({ body: 'set -e\n' });
});

it('Windows line ends in the scripts of a process are announced', async () => {
  const api = await startFakeApi();
  api.on('POST /api/v1/projects', (_request, response) => json(response, { id: 'web' }, 201));
  const step = { name: 'a', kind: 'script', script: { body: 'set -e\r\ntrue\r\n' } };
  const { err } = await isthmus([
    ...api.args,
    ...READERS['a process']!(await fileOf(JSON.stringify({ steps: [step] }))),
  ]);
  expect(err).toContain('note: Windows line ends in its scripts are left out when they run');
});

it.each(['steps: [', '- name: a\n- &anchor b', 'nothing: here'])(
  'a process %j is rejected as a wrong value',
  async (text) => {
    const file = await fileOf(text, 'process.yaml');
    const api = await startFakeApi();
    const { code, err } = await isthmus([...api.args, ...READERS['a process']!(file)]);
    expect(err).toMatch(/process\.yaml.*\(INVALID_FIELD\)\n(.*\n)? {2}what to do: /);
    expect(code).toBe(2);
  },
);

it.each([
  ['an API key', '\0\x01', /holds no API key/],
  ['an API key', 'hunter22', /holds no API key/],
  ['an authority', 'not a certificate', /holds no certificate/],
] as const)('%s %j is rejected before it is used', async (what, content, message) => {
  const api = await startFakeApi();
  const file = await fileOf(content);
  const { code, err } = await isthmus([...api.args, ...READERS[what]!(file)]);
  expect(err).toMatch(message);
  expect(code).toBe(9);
  expect(api.requests).toEqual([]);
});

it('an argument that is not UTF-8 is rejected', async () => {
  const { code, err } = await isthmus(['project', 'variables', 'set', 'web', 'Name', 'caf\ufffd']);
  expect(err).toContain('argument 6 is not UTF-8 (TEXT_INVALID)');
  expect(code).toBe(2);
});

describe('a pipe with a name', () => {
  async function pipe(): Promise<string> {
    const file = join(await tempDir(), 'pipe');
    await promisify(execFile)('mkfifo', [file]);
    return file;
  }

  it('is read to its end, as a file', async () => {
    const api = await startFakeApi();
    api.on('POST /api/v1/scripts', (_request, response) => json(response, task, 202));
    const file = await pipe();
    const running = isthmus([...api.args, ...READERS['a script']!(file)]);
    await appendFile(file, 'echo from a pipe\n');
    expect(await running).toMatchObject({ code: 0 });
    expect(sent(api)).toMatchObject({ body: 'echo from a pipe\n' });
  });

  it.each(Object.entries(READERS))('with nobody at its other end is left at Ctrl-C: %s', async (_what, argsOf) => {
    const stop = new AbortController();
    const api = await startFakeApi();
    const running = isthmus([...api.args, ...argsOf(await pipe())], { signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(await running).toMatchObject({ code: 130 });
    expect(api.requests).toEqual([]);
  });

  it('is no package', async () => {
    const api = await startFakeApi();
    const { code, err } = await isthmus([...api.args, 'package', 'push', await pipe(), 'web', '1.0.0']);
    expect(err).toMatch(/pipe is not a file \(FILE_UNUSABLE\)/);
    expect(code).toBe(9);
  });
});
