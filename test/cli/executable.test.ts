// The executable as a process: the wrapper that finds Node, exit codes, signals, a closed output.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, readdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { json, startFakeApi } from '../support/fake-api.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';

const root = join(import.meta.dirname, '../..');
const executable = join(root, 'bin/isthmus');

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(file: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  try {
    const { stdout, stderr } = await promisify(execFile)(file, [...args], env === undefined ? {} : { env });
    return { code: 0, stdout, stderr };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as Ended;
    return { code, stdout, stderr };
  }
}

it('runs under Node 24 through a link, whatever node is on the path', async () => {
  const link = join(await tempDir(), 'isthmus');
  await symlink(executable, link);
  const { code, stdout, stderr } = await run(link, ['--version'], { PATH: '/usr/bin:/bin' });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

it('says which Node it needs when it finds an older one', async () => {
  const folder = await tempDir();
  await mkdir(join(folder, 'bin'));
  await copyFile(executable, join(folder, 'bin/isthmus'));
  await writeFile(join(folder, 'node'), '#!/bin/sh\n[ "$1" = -p ] && echo 20 || echo v20.0.0\n');
  await chmod(join(folder, 'node'), 0o755);
  const old = await run(join(folder, 'bin/isthmus'), ['--version'], { PATH: `${folder}:/usr/bin:/bin` });
  expect(old.code).toBe(9);
  expect(old.stderr).toMatch(/Node\.js 24 or newer is needed; .* is v20\.0\.0/);
});

it('exits 2 on a typo, with nothing on standard output', async () => {
  const { code, stdout, stderr } = await run(executable, ['mesh', 'statsu']);
  expect(code).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/did you mean status/i);
});

it('ignores SIGUSR1, which would open a debugger, and ends with 130 on SIGTERM; the task continues', async () => {
  const api = await startFakeApi();
  api.on('GET /api/v1/tasks/t1', (_request, response) =>
    json(response, { id: 't1', kind: 'script', title: '', state: 'running', createdAt: 0, machines: [] }),
  );
  const following = Promise.withResolvers<void>();
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': here\n\n', () => following.resolve());
  });
  const child = spawn(executable, [...api.args, 'task', 'follow', 't1']);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await following.promise;
  child.kill('SIGUSR1');
  child.kill('SIGTERM');
  const [code] = (await once(child, 'close')) as [number];
  expect(code).toBe(130);
  expect(stderr).not.toContain('Debugger');
  expect(stderr).toContain('the task continues');
});

it('exits 74 when its output cannot be written, and continues when only its messages cannot', async () => {
  const full = spawn('/bin/sh', ['-c', `exec "${executable}" help exit-codes > /dev/full`]);
  let stderr = '';
  full.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(full, 'close')) as [number];
  expect({ code, stderr }).toEqual({ code: 74, stderr: 'isthmus: standard output cannot be written (ENOSPC)\n' });
  const unheard = spawn('/bin/sh', ['-c', `exec "${executable}" mesh statsu 2> /dev/full`]);
  expect(await once(unheard, 'close')).toEqual([2, null]);
});

it('leaves a pipe that nobody writes to at SIGTERM', async () => {
  const pipe = join(await tempDir(), 'pipe');
  await promisify(execFile)('mkfifo', [pipe]);
  const api = await startFakeApi();
  const child = spawn(executable, [...api.args, 'script', 'run', '--file', pipe, '--machine', 'eu-1']);
  const isOpen = async () => {
    const folder = `/proc/${child.pid}/fd`;
    const files = await readdir(folder).catch(() => []);
    return (await Promise.all(files.map((fd) => readlink(join(folder, fd)).catch(() => '')))).includes(pipe);
  };
  await waitFor(isOpen);
  child.kill('SIGTERM');
  expect(await once(child, 'close')).toEqual([130, null]);
});

it('exits 0 when its output is closed early', async () => {
  const child = spawn('/bin/sh', ['-c', `"${executable}" --help | head -1; exit "\${PIPESTATUS:-0}"`]);
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
});
