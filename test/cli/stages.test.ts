// The three stages of a deployment where it is followed: a heading for each, its steps below it, and the progress of
// packages as a live line or, where nothing can be redrawn, now and then.
import { expect, it } from 'vitest';
import { machineLines } from '../../cli/render/task.ts';
import { run } from '../../cli/run.ts';
import type { Task } from '../../contract/tasks.ts';
import { json, startFakeApi, type FakeApi } from '../support/fake-api.ts';
import { captureTerminal, isthmus } from '../support/terminal.ts';

const MIB = 1024 * 1024;
const steps = [
  { stage: 'beforeAcquisition', step: 'mount', action: 'script', ticket: 'k1' },
  {
    ...{ stage: 'acquisition', step: 'web', action: 'acquire', ticket: 'k2' },
    detail: { from: 'mirror-eu', bytes: 64 * MIB, seconds: 8, cached: false },
  },
  { stage: 'steps', step: 'web', action: 'stage', ticket: 'k3' },
].map((step) => ({ exitCode: null, signal: null, state: 'succeeded', ...step }));

const progress = (at: number, percent: number) => ({
  ...{ at, machine: 'eu-1', ticket: 'k2', level: 'info', code: null, text: `eu-1: ${percent} % from mirror-eu` },
  data: { receivedBytes: percent, totalBytes: 100, bytesPerS: 10, from: 'mirror-eu' },
});
const about = { at: 0, machine: null, ticket: null, level: 'info', code: null };
const acquired = { ...about, machine: 'eu-1', text: 'eu-1: web 1.0.0: 64.0 MiB in 8.0 s', data: { acquired: {} } };
const begins = (stage: string) => ({ ...about, text: `stage: ${stage}`, data: { stage } });
const messages = [
  begins('beforeAcquisition'),
  begins('acquisition'),
  ...[progress(1_000, 10), progress(2_000, 20), progress(6_000, 60), acquired],
  begins('steps'),
];

function serve(api: FakeApi): void {
  api.on('GET /api/v1/tasks/t1', (_request, response) =>
    json(response, {
      ...{ id: 't1', kind: 'deployment', title: 'web', state: 'succeeded', createdAt: 0 },
      machines: [{ machine: 'eu-1', state: 'succeeded', steps }],
    }),
  );
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const [index, message] of messages.entries())
      response.write(`id: ${index + 1}\nevent: message\ndata: ${JSON.stringify(message)}\n\n`);
    response.end('id: 99\nevent: end\ndata: {"state":"succeeded"}\n\n');
  });
  const items = messages.map((message, index) => ({ kind: 'message', seq: index + 1, ...message }));
  api.on('GET /api/v1/tasks/t1/log', (_request, response) => json(response, { items }));
}

it('are headed, each above its own steps, however late the task is followed', async () => {
  const api = await startFakeApi();
  serve(api);
  const { out } = await isthmus([...api.args, 'task', 'follow', 't1']);
  expect(out.split('\n').filter((line) => line !== '')).toEqual([
    'task t1',
    'BEFORE ACQUISITION',
    'eu-1: mount/script succeeded',
    'ACQUISITION',
    'eu-1: 10 % from mirror-eu',
    'eu-1: 60 % from mirror-eu',
    'eu-1: web/acquire succeeded · 64.0 MiB in 8.0 s (8.00 MiB/s) from mirror-eu',
    'STEPS',
    'eu-1: web/stage succeeded',
    'task t1 succeeded',
  ]);
});

it('print no progress where a live line shows it', async () => {
  const api = await startFakeApi();
  serve(api);
  const { terminal, written } = captureTerminal();
  expect(await run([...api.args, 'task', 'follow', 't1'], { ...terminal, redraws: true })).toBe(0);
  expect(written().out).toContain('ACQUISITION\n');
  expect(written().out).not.toContain('% from');
  const [mount, acquire, stage] = steps;
  const fetching = { receivedBytes: 12 * MIB, totalBytes: 64 * MIB, bytesPerS: 8 * MIB, from: 'mirror-eu' };
  const rows = [mount, { ...acquire, state: 'sent', detail: null, progress: fetching }, { ...stage, state: 'pending' }];
  const task = { machines: [{ machine: 'eu-1', state: 'running', steps: rows }] } as object as Task;
  const shown = 'web/acquire 18 % of 64.0 MiB at 8.00 MiB/s from mirror-eu';
  expect(machineLines(task)).toEqual([`  eu-1  [####........] running   ${shown}`]);
});

it('are in the log and in the table of the task', async () => {
  const api = await startFakeApi();
  serve(api);
  expect((await isthmus([...api.args, 'task', 'log', 't1'])).out.trimEnd().split('\n')).toEqual([
    'server - stage: beforeAcquisition',
    'server - stage: acquisition',
    'eu-1 - web 1.0.0: 64.0 MiB in 8.0 s',
    'server - stage: steps',
  ]);
  const { out } = await isthmus([...api.args, 'task', 'show', 't1']);
  expect(out).toMatch(/^MACHINE +STAGE +STEP /m);
  expect(out).toMatch(/^eu-1 +before acquisition +mount\/script +succeeded/m);
});

it('are in the steps of a project', async () => {
  const api = await startFakeApi();
  const step = { kind: 'script', targetRoles: [], script: { interpreter: 'bash', body: 'x' } };
  const process = [
    { ...step, name: 'open-vpn', stage: 'beforeAcquisition', machine: 'gateway-1' },
    { name: 'web', kind: 'package', targetRoles: ['web'], package: { id: 'hello' } },
    { ...step, name: 'check' },
  ];
  api.on('GET /api/v1/projects/shop', (_request, response) =>
    json(response, { id: 'shop', name: 'Shop', description: '', process }),
  );
  const { out } = await isthmus([...api.args, 'project', 'show', 'shop']);
  expect(out).toMatch(/^1 +open-vpn +script +- +before acquisition +gateway-1$/m);
  expect(out).toMatch(/^2 +web +package +hello +acquisition, steps +web$/m);
  expect(out).toMatch(/^3 +check +script +- +steps +every machine$/m);
});
