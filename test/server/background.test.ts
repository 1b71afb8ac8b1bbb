// No failure of a background task ends a process or stays: the next turn runs. Faults come from inside, one for each
// task in turn, and from outside, where no process has a file descriptor left.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { BACKGROUND_TASKS, type BackgroundTask } from '../../lib/async/background.ts';
import { waitFor } from '../support/wait.ts';
import { ApiClient, WholeMesh } from './whole.ts';

const executable = join(import.meta.dirname, '../../bin/isthmus');

const faults = vi.hoisted(() => ({ due: new Set<string>(), failed: new Set<string>(), ran: new Set<string>() }));

vi.mock(import('../../lib/async/background.ts'), async (original) => {
  const real = await original();
  const faulty = (task: BackgroundTask, work: () => unknown) => (): unknown => {
    if (faults.due.delete(task)) {
      faults.failed.add(task);
      throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE', syscall: 'open' });
    }
    if (faults.failed.has(task)) faults.ran.add(task);
    return work();
  };
  return {
    ...real,
    background: (task, log, work) => real.background(task, log, faulty(task, work)),
    attempted: (task, log, work) => real.attempted(task, log, faulty(task, work)),
    every: (ms, task, log, work) => real.every(ms, task, log, faulty(task, work)),
  };
});

beforeEach(() => {
  for (const names of Object.values(faults)) names.clear();
});

/** Those that run by themselves in a mesh that has just started and runs a script. */
const running = [
  'completion.sweep',
  'health.check',
  'health.round',
  'lease.renewal',
  'links.listener',
  'node.report',
  'outages.record',
  'output.orphans',
  'reports.write',
  'task.claim',
  'tickets.sweep',
  'topology.reconcile',
  'undeletable.sweep',
] as const satisfies readonly BackgroundTask[];

/** These have run again before the test ends; the others at their next turn, which is farther away. */
const again = running.filter((task) => !['completion.sweep', 'tickets.sweep', 'undeletable.sweep'].includes(task));

it('comes up, works and goes on when every background task fails at its first turn', async () => {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  await mesh.stopServer();
  // A run that was not begun is found when its lease has expired: that takes longer than this test.
  faults.due = new Set(BACKGROUND_TASKS.filter((task) => task !== 'task.run'));
  await mesh.startServer({ ...mesh.config(), healthCheckIntervalS: 1 });
  await mesh.add({ id: 'relay-1', role: 'relay' });
  await mesh.add({ id: 'eu-1', role: 'tentacle', parent: 'relay-1' });
  const { state } = await mesh.api.task('/scripts', { body: 'sleep 6; echo done', machines: ['eu-1'] });
  expect(state).toBe('succeeded');
  expect(running.filter((task) => !faults.failed.has(task))).toEqual([]);
  await vi.waitFor(() => expect(again.filter((task) => !faults.ran.has(task))).toEqual([]), { timeout: 30_000 });
});

interface Component {
  readonly child: ChildProcess;
  /** What it has logged so far. */
  readonly logged: () => string;
}

async function startComponent(role: string, dataDir: string, ...options: string[]): Promise<Component> {
  const child = spawn(executable, [role, 'start', '--data', dataDir, ...options]);
  const closed = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  await waitFor(() => log.includes('"msg":"started"'), { what: `the start of the ${role}` });
  return { child, logged: () => log };
}

/** Sets how many files the process may have open: it keeps those that it has. */
async function limitFiles({ child }: Component, most: number): Promise<void> {
  await promisify(execFile)('prlimit', ['--pid', String(child.pid), `--nofile=${most}:`]);
}

it('outlives a time without file descriptors, in every process', async () => {
  const mesh = await WholeMesh.up();
  await mesh.api.ask('POST', '/sites', { id: 'eu' });
  await mesh.api.ask('POST', '/environments', { id: 'prod' });
  const plans = [
    { id: 'relay-1', role: 'relay' },
    { id: 'mirror-1', role: 'mirror' },
    { id: 'eu-1', role: 'tentacle' },
  ] as const;
  const joined = await Promise.all(plans.map((plan) => mesh.join(plan)));
  const { mesh: meshListen, api: apiListen } = mesh.addresses;
  await mesh.stopServer();

  const listen = ['--mesh-listen', meshListen, '--api-listen', apiListen];
  const server = await startComponent('server', mesh.dataDir, ...listen);
  const nodes = await Promise.all(plans.map(({ role }, index) => startComponent(role, joined[index]!.dataDir)));
  const api = new ApiClient(`http://${apiListen}`, mesh.adminKey);
  const reportedAt = async (): Promise<number[]> => {
    const { items } = await api.ask('GET', '/nodes');
    const seen = new Map((items as { id: string; lastSeenAt: number }[]).map((node) => [node.id, node.lastSeenAt]));
    return plans.map(({ id }) => seen.get(id) ?? 0);
  };
  /** Resolves when every node has reported anew. Asks over one connection, which stays open. */
  const reports = async (): Promise<void> => {
    const before = await reportedAt();
    await waitFor(async () => (await reportedAt()).every((atMs, index) => atMs > before[index]!));
  };
  await reports();

  await Promise.all([server, ...nodes].map((each) => limitFiles(each, 3)));
  // One report may have been on its way.
  await reports();
  await reports();
  await Promise.all([server, ...nodes].map((each) => limitFiles(each, 1024)));
  const { state } = await api.task('/scripts', { body: 'echo still here', machines: ['eu-1'] });
  expect(state).toBe('succeeded');
  expect([server, ...nodes].map(({ child }) => child.exitCode)).toEqual([null, null, null, null]);
});
