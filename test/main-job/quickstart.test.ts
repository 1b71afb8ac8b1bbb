// The quickstart as a user runs it: real processes on loopback, from an empty folder to an application on five machines
// behind relays; then again on the same folder; then killed.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { waitFor } from '../support/wait.ts';

const root = join(import.meta.dirname, '../..');
const machines = ['eu-1', 'eu-2', 'eu-pci-1', 'eu-pci-2', 'us-1'];
const limitMs = 240_000;

let folder: string;
let state: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-main-job-'));
  state = join(folder, 'state');
});

afterAll(async () => {
  for (const pid of await processesOf(folder)) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function quickstart(...options: readonly string[]): Run {
  const child = spawn(join(root, 'bin/isthmus'), ['quickstart', '--data', state, ...options], { cwd: folder });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, output: () => output, exit };
}

/** Every process with the folder on its command line or as its working folder. */
async function processesOf(path: string): Promise<number[]> {
  const found: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    const commandLine = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    const cwd = await readlink(`/proc/${name}/cwd`).catch(() => '');
    if (commandLine.includes(path) || cwd.startsWith(path)) found.push(Number(name));
  }
  return found;
}

/** The files below `path` that hold `secret` in clear. */
async function filesWith(secret: string, path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    if ((await readFile(file)).includes(secret)) found.push(file);
  }
  return found;
}

it(
  'from nothing: deploys to every machine, each link between sites carries the package once, no process remains',
  async () => {
    const run = quickstart('--once');
    const code = await run.exit;
    const output = run.output();
    expect(code, output).toBe(0);
    for (const machine of machines) {
      expect(output).toMatch(new RegExp(`${machine} \\| HTTP 200 from ${machine}: release 1\\.0\\.0 is live`));
      expect(output).toMatch(new RegExp(`^${machine} .*(healthy|warning( \\(.*\\))?)$`, 'm'));
    }
    expect(output).toMatch(/^eu-pci-1 +eu > eu-pci +3 .*mirror-eu-pci/m);
    expect(output).toMatch(/^us-1 +us +2 /m);
    expect(output).toMatch(/crossed each link between sites once/);
    const stages = [/^(BEFORE ACQUISITION|ACQUISITION|STEPS)$/gm, /^us-1: (?:prepare|web|check)\/(\w+) succeeded/gm];
    expect(stages.map((lines) => [...output.matchAll(lines)].map(([, what]) => what))).toEqual([
      ['BEFORE ACQUISITION', 'ACQUISITION', 'STEPS'],
      ['script', 'acquire', 'stage', 'pre', 'activate', 'post', 'settle', 'script'],
    ]);
    expect(await processesOf(folder)).toEqual([]);
  },
  limitMs,
);

it('keeps the sensitive value only where it is needed', async () => {
  const { signingKey } = JSON.parse(await readFile(join(state, 'state.json'), 'utf8')) as { signingKey: string };
  for (const folderName of [
    'logs',
    'nodes/server',
    'nodes/eu',
    'nodes/eu-pci',
    'nodes/us',
    'nodes/mirror-eu',
    'nodes/mirror-eu-pci',
  ]) {
    expect(await filesWith(signingKey, join(state, folderName))).toEqual([]);
  }
  expect(await filesWith(signingKey, join(state, 'nodes/eu-1'))).not.toEqual([]);
});

it(
  'again: finds nodes and package, deploys the next release, stays up until Ctrl-C',
  async () => {
    const run = quickstart();
    await waitFor(() => run.output().includes('Ctrl-C stops everything') || run.child.exitCode !== null, {
      limitMs: 120_000,
      what: 'the second start to be up',
    });
    expect(run.output()).toContain('was in the feed already');
    expect(run.output()).not.toContain('joined');
    expect(run.output()).toMatch(/eu-pci-2 \| HTTP 200 from eu-pci-2: release 1\.0\.1 is live/);
    run.child.kill('SIGINT');
    expect(await run.exit, run.output()).toBe(0);
    expect(await processesOf(folder)).toEqual([]);
  },
  limitMs,
);

it(
  'killed: all its processes end, the applications too',
  async () => {
    const run = quickstart();
    await waitFor(() => run.output().includes('Ctrl-C stops everything') || run.child.exitCode !== null, {
      limitMs: 120_000,
      what: 'the third start to be up',
    });
    expect((await processesOf(folder)).length, run.output()).toBeGreaterThan(11 + machines.length);
    run.child.kill('SIGKILL');
    await waitFor(async () => (await processesOf(folder)).length === 0, {
      limitMs: 30_000,
      everyMs: 100,
      what: 'no process left',
    });
  },
  limitMs,
);

it(
  'rejects a second one on the same folder',
  async () => {
    const run = quickstart('--once');
    await waitFor(() => run.output().includes('server at') || run.child.exitCode !== null, {
      limitMs: 60_000,
      what: 'the first',
    });
    const second = quickstart('--once', '--clean');
    expect(await second.exit).toBe(9);
    expect(second.output()).toContain('DATA_DIR_LOCKED');
    run.child.kill('SIGTERM');
    expect(await run.exit).toBe(130);
    await waitFor(async () => (await processesOf(folder)).length === 0, {
      limitMs: 30_000,
      everyMs: 100,
      what: 'no process left',
    });
  },
  limitMs,
);
