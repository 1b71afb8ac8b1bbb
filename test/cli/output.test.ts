// What commands show: text from elsewhere is escaped, and progress is line by line where nothing can be redrawn.
import { execFile } from 'node:child_process';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { promisify } from 'node:util';
import { expect, it, onTestFinished, vi } from 'vitest';
import { escapeText } from '../../cli/render/escape.ts';
import { LiveRegion } from '../../cli/render/live.ts';
import { Screen } from '../support/screen.ts';
import { captureTerminal, isthmus } from '../support/terminal.ts';
import { waitFor } from '../support/wait.ts';
import { json, startFakeApi, type FakeApi } from '../support/fake-api.ts';

const hostile =
  '\u001b[2J\u001b]52;c;cm0gLXJm\u0007 \r\u0000 \u202egnp.exe \u2066x\u2069 \u2028 \u009b31m \ud800 </script>';

function taskBody(state: string, stepState: string): object {
  const steps = [
    {
      step: 'web',
      action: 'acquire',
      ticket: 'k1',
      state: 'succeeded',
      detail: { from: 'mirror-eu', bytes: 10, seconds: 0.25, cached: false },
    },
    {
      step: 'check',
      action: 'script',
      ticket: 'k2',
      state: stepState,
      ...(stepState === 'failed'
        ? {
            exitCode: 163,
            signal: 35,
            error: { code: 'SCRIPT_FAILED', hop: 'eu-1', detail: 'exit code 163 (signal 35)' },
          }
        : { exitCode: 0, signal: null }),
    },
  ];
  return {
    id: 't1',
    kind: 'script',
    title: 'a script',
    state,
    createdAt: 0,
    machines: [{ machine: 'eu-1', state: stepState, steps }],
  };
}

function serveTask(api: FakeApi, end: 'succeeded' | 'failed'): void {
  api.on('GET /api/v1/tasks/t1', (_request, response) => json(response, taskBody(end, end)));
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    const line = JSON.stringify({
      ticket: 'k2',
      machine: 'eu-1',
      line: 1,
      at: 0,
      stream: 'stdout',
      text: hostile,
      ending: 'newline',
    });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`id: 1\nevent: log\ndata: ${line}\n\nid: 2\nevent: end\ndata: {"state":"${end}"}\n\n`);
  });
}

it('escapes control, escape and bidirectional characters', () => {
  const shown = escapeText(hostile);
  expect(shown).toBe(
    '\\x1b[2J\\x1b]52;c;cm0gLXJm\\x07 \\x0d\\x00 \\u202egnp.exe \\u2066x\\u2069 \\u2028 \\x9b31m \\ud800 </script>',
  );
  expect(escapeText('tab\tand Grüße 日本 👩‍🚀')).toBe('tab\tand Grüße 日本 👩‍🚀');
});

it('follows a task to its end: lines escaped, steps shown, exit code its result', async () => {
  for (const [end, expected] of [
    ['succeeded', 0],
    ['failed', 1],
  ] as const) {
    const api = await startFakeApi();
    serveTask(api, end);
    const { code, out, err } = await isthmus([...api.args, 'task', 'follow', 't1']);
    expect(code).toBe(expected);
    expect(out).toContain('eu-1 | \\x1b[2J');
    for (const line of out.split('\n')) expect(escapeText(line)).toBe(line);
    expect(out).toContain('eu-1: web/acquire succeeded · 10 B in 0.3 s (40 B/s) from mirror-eu');
    expect(out).toContain(
      end === 'failed' ? 'eu-1: check/script failed · SCRIPT_FAILED: exit code 163 (signal 35)\n' : 'task t1 succeeded',
    );
    if (end === 'failed') {
      expect(err).toContain(
        'it ended with the exit code given. `isthmus task log t1` shows it. `isthmus task show t1`',
      );
    }
    const reported = 'isthmus: task t1 failed; eu-1: SCRIPT_FAILED: exit code 163 (signal 35) (TASK_NOT_SUCCESSFUL)\n';
    expect(err.startsWith('isthmus: ') ? err.split('\n', 1)[0] + '\n' : err).toBe(end === 'failed' ? reported : '');
  }
});

it.each<[string, object | null, string]>([
  [
    'as a command',
    { remedy: 'Put it there.', action: { code: 'SET_ENVIRONMENTS', arguments: { machines: 'web-2' } } },
    '. `isthmus machine set web-2 --environment NAME` changes that.\n',
  ],
  ['as the server does, for an unknown action', { remedy: 'Put it there.', action: { code: 5 } }, '. Put it there.\n'],
  ['not at all, when there are other facts only', { heldBy: 'x' }, '\n'],
  ['not at all, when there are no facts', null, '\n'],
])('words what to do about a message %s', async (_how, data, words) => {
  const api = await startFakeApi();
  serveTask(api, 'succeeded');
  const message = { machine: null, code: null, text: 'not deployed to: web-2', data };
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`id: 1\nevent: message\ndata: ${JSON.stringify(message)}\n\n`);
    response.end('id: 2\nevent: end\ndata: {"state":"succeeded"}\n\n');
  });
  const { out } = await isthmus([...api.args, 'task', 'follow', 't1']);
  expect(out).toContain(`server: not deployed to: web-2${words}`);
});

it('says what a task in the queue waits for, once', async () => {
  const api = await startFakeApi();
  serveTask(api, 'succeeded');
  const queued = { ...taskBody('queued', 'pending'), blockedBy: ['t0', 't9'] };
  let reads = 0;
  let hasEnded = false;
  api.on('GET /api/v1/tasks/t1', (_request, response) => {
    reads += 1;
    json(response, hasEnded ? taskBody('succeeded', 'succeeded') : queued);
  });
  api.on('GET /api/v1/tasks/t0', (_request, response) =>
    json(response, { ...taskBody('running', 'running'), id: 't0', kind: 'deployment', title: 'web 1.1 to prod' }),
  );
  const opened = Promise.withResolvers<ServerResponse>();
  api.on('GET /api/v1/tasks/t1/events', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    opened.resolve(response);
  });
  const following = isthmus([...api.args, 'task', 'follow', 't1']);
  const stream = await opened.promise;
  await waitFor(() => reads > 0);
  stream.write('id: 1\nevent: state\ndata: {}\n\n');
  await waitFor(() => reads > 1);
  hasEnded = true;
  stream.end('id: 2\nevent: end\ndata: {"state":"succeeded"}\n\n');
  const { out } = await following;
  expect(out.match(/waits for/g)).toHaveLength(1);
  expect(out).toContain('waits for task t0 (deployment web 1.1 to prod), and for 1 more\n');
});

it('a log without lines prints nothing', async () => {
  const api = await startFakeApi();
  api.on('GET /api/v1/tasks/t1/log', (_request, response) => json(response, { items: [] }));
  expect((await isthmus([...api.args, 'task', 'log', 't1'])).out).toBe('');
});

it('with -o json puts only the task on standard output', async () => {
  const api = await startFakeApi();
  serveTask(api, 'succeeded');
  const { out } = await isthmus([...api.args, '-o', 'json', 'task', 'follow', 't1']);
  expect(JSON.parse(out)).toMatchObject({ id: 't1', state: 'succeeded' });
});

/** Every field that any command reads, with hostile text in each. */
const anything = {
  ...{ id: hostile, name: hostile, title: hostile, description: hostile, site: hostile, role: hostile, state: hostile },
  ...{
    kind: hostile,
    version: hostile,
    softwareVersion: hostile,
    sha256: hostile,
    format: hostile,
    interpreter: hostile,
  },
  ...{
    project: hostile,
    actor: hostile,
    type: hostile,
    subjectKind: hostile,
    subject: hostile,
    health: hostile,
    text: hostile,
  },
  ...{
    createdAt: 0,
    at: 0,
    seq: 1,
    line: 1,
    sizeBytes: 1,
    bytesUp: 0,
    bytesDown: 0,
    disabled: false,
    stream: 'stdout',
  },
  ...{
    from: hostile,
    to: hostile,
    state: hostile,
    dialledBy: 'child',
    lastErrorCode: hostile,
    ticket: hostile,
    machine: hostile,
    node: hostile,
  },
  ...{
    environments: [hostile],
    targetRoles: [hostile],
    routes: [{ kind: 'path', via: [hostile] }],
    data: { [hostile]: hostile },
  },
  ...{
    parents: [{ node: hostile, dialAddress: hostile }],
    packages: [{ step: hostile, id: hostile, version: hostile, sha256: hostile, sizeBytes: 1 }],
  },
  desiredParents: { parents: [{ node: hostile, address: hostile }], setAt: 0, setBy: hostile, errorCode: hostile },
  healthReport: { by: hostile, reasons: [{ text: hostile }], facts: { hostname: hostile, os: hostile } },
  ...{ intervalS: hostile, lastRoundAt: hostile, outdatedBefore: hostile },
  error: { code: hostile, detail: hostile, hop: hostile },
  machines: [
    {
      machine: hostile,
      state: hostile,
      steps: [
        {
          step: hostile,
          action: hostile,
          ticket: null,
          state: 'failed',
          error: { code: hostile, detail: hostile, hop: hostile },
          detail: { from: hostile },
        },
      ],
    },
  ],
  usedBy: [{ project: hostile, releases: 1 }],
  clones: [{ hostname: hostile, address: hostile, via: hostile }],
  steps: [{ name: hostile, kind: 'script', targetRoles: [hostile], script: { interpreter: 'bash', body: hostile } }],
  process: [{ name: hostile, kind: 'package', package: { id: hostile }, targetRoles: [hostile] }],
  paths: [
    {
      ...{ path: [hostile], state: 'down', cost: 1, reason: hostile },
      hops: [{ node: hostile, roundTripMs: null, version: hostile, certificateDays: null }],
      roundTripsMs: [],
      error: { code: hostile, detail: hostile },
    },
  ],
};

it.each([
  ['site list', 'GET /api/v1/sites'],
  ['environment list', 'GET /api/v1/environments'],
  ['machine list', 'GET /api/v1/machines'],
  ['machine show x', 'GET /api/v1/machines/x'],
  ['health show', 'GET /api/v1/machines'],
  ['package list', 'GET /api/v1/packages'],
  ['project list', 'GET /api/v1/projects'],
  ['project show x', 'GET /api/v1/projects/x'],
  ['project variables list x', 'GET /api/v1/projects/x/variables'],
  ['release list x', 'GET /api/v1/projects/x/releases'],
  ['release show x', 'GET /api/v1/releases/x'],
  ['task list', 'GET /api/v1/tasks'],
  ['task show x', 'GET /api/v1/tasks/x'],
  ['task log x', 'GET /api/v1/tasks/x/log'],
  ['node list', 'GET /api/v1/nodes'],
  ['node show x', 'GET /api/v1/nodes/x'],
  ['key list', 'GET /api/v1/api-keys'],
  ['token list', 'GET /api/v1/tokens'],
  ['events', 'GET /api/v1/events'],
  ['mesh status', 'GET /api/v1/mesh'],
  ['mesh trace x', 'POST /api/v1/mesh/trace'],
  ['mesh ping x', 'POST /api/v1/mesh/ping'],
])('%s escapes hostile text, as text and as JSON', async (words, request) => {
  const api = await startFakeApi();
  const lists = {
    items: [{ ...anything, kind: request.endsWith('/log') ? 'log' : hostile }],
    nodes: [anything],
    links: [anything],
  };
  const others = ['nodes', 'mesh', 'machines', 'health-checks'].map((path) => `GET /api/v1/${path}`);
  for (const each of [request, ...others]) {
    api.on(each, (_request, response) => json(response, { ...anything, ...lists }));
  }
  for (const output of ['table', 'json']) {
    const { out, err } = await isthmus([...api.args, '-o', output, ...words.split(' ')]);
    expect(err).not.toContain('INTERNAL');
    expect(out).toMatch(/\\x1b\[2J|\\u001b\[2J/);
    for (const line of `${out}${err}`.split('\n')) expect(escapeText(line)).toBe(line);
    if (output === 'json') expect(JSON.stringify(JSON.parse(out))).toContain(JSON.stringify(hostile).slice(1, -1));
  }
});

it('a task shows what each machine waits for, and those that never started', async () => {
  const api = await startFakeApi();
  const step = { step: 'web', action: 'stage', state: 'pending', exitCode: null, signal: null, detail: null };
  const message = { at: 1, ticket: null, code: 'LINK_DOWN', text: 'web-1: no live link from eu' };
  const task = {
    ...{ id: 't1', kind: 'deployment', title: 'web 1.0.0 to prod', state: 'running', createdAt: 1, deadlineAt: 2 },
    machines: [
      {
        machine: 'web-1',
        state: 'running',
        message,
        steps: [{ ...step, state: 'succeeded', action: 'acquire' }, step],
      },
      { machine: 'web-2', state: 'skipped', steps: [] },
      { machine: 'web-3', state: 'skipped', steps: [], leftOut: 'disabled' },
    ],
    skippedSteps: [{ step: 'seed', reason: 'no machine in prod has the role db' }],
    blockedBy: ['t0', 't9'],
  };
  api.on('GET /api/v1/tasks/t1', (_request, response) => json(response, task));
  const { out } = await isthmus([...api.args, 'task', 'show', 't1']);
  expect(out).toMatch(/web-1 +web\/acquire +succeeded[ -]*\n/);
  expect(out).toMatch(/web-1 +web\/stage +pending[ -]+no live link from eu \(LINK_DOWN\)[ -]*\n/);
  expect(out).toMatch(/web-2[ -]+skipped[ -]+not started/);
  expect(out).toMatch(/web-3[ -]+skipped[ -]+left out: it is disabled/);
  expect(out).toMatch(/seed +skipped[ -]+no machine in prod has the role db/);
  expect(out).toMatch(/blocked by +t0, t9\n/);
});

it('redraws its region in place, below the lines that stay', () => {
  const stdout = Object.assign(new PassThrough(), { columns: 40 });
  const region = new LiveRegion({ ...captureTerminal().terminal, stdout, redraws: true });
  region.update(['machine one', 'machine two, which is wider than the terminal is']);
  region.close({ keep: true });
  region.print('a line');
  region.update(['machine one done']);
  region.close({ keep: false });
  const written = String(stdout.read());
  expect(written).toBe('machine one\nmachine two, which is wider than the ter\n'.slice(0, -2) + '\na line\n');
});

it('replaces its region, puts new lines above it, and leaves the rest of the screen alone', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const stdout = Object.assign(new PassThrough(), { columns: 0, rows: 0 });
  const region = new LiveRegion({ ...captureTerminal().terminal, stdout, redraws: true });
  const screen = new Screen();
  const drawn = () => {
    vi.advanceTimersByTime(100);
    screen.take(String(stdout.read() ?? ''));
    return screen.lines;
  };
  screen.take('$ isthmus\n');
  region.update(['one', 'two']);
  expect(drawn()).toEqual(['$ isthmus', 'one', 'two', '']);
  region.print('a line');
  region.update(['one', 'two done']);
  expect(drawn()).toEqual(['$ isthmus', 'a line', 'one', 'two done', '']);
  region.update(['one']);
  expect(drawn()).toEqual(['$ isthmus', 'a line', 'one', '']);
  region.close({ keep: false });
  expect(drawn()).toEqual(['$ isthmus', 'a line', '']);
});

it('trace shows the first hop that fails, and exits 1', async () => {
  const api = await startFakeApi();
  const down = {
    from: 'eu',
    to: 'eu-pci',
    state: 'down',
    dialledBy: 'child',
    lastErrorCode: 'LINK_TIMEOUT',
    bytesDown: 0,
    bytesUp: 0,
  };
  api.on('GET /api/v1/mesh', (_request, response) => json(response, { nodes: [], links: [down] }));
  api.on('POST /api/v1/mesh/trace', (_request, response) =>
    json(response, {
      paths: [
        {
          ...{ path: ['eu', 'eu-pci'], state: 'down', cost: 1001, reason: 'the link from eu to eu-pci is down' },
          hops: [
            { node: 'eu', roundTripMs: 1.25, version: '0.1.0', certificateDays: 6.5 },
            {
              ...{ node: 'eu-pci', roundTripMs: null, version: null, certificateDays: null },
              error: { code: 'LINK_DOWN', detail: 'connection refused', remedy: 'Start it.' },
            },
          ],
        },
      ],
    }),
  );
  const { code, out, err } = await isthmus([...api.args, 'mesh', 'trace', 'eu-pci-1']);
  expect(code).toBe(1);
  expect(out).toContain('server > eu > eu-pci > eu-pci-1  down: the link from eu to eu-pci is down\n');
  expect(out).toContain('1  eu  1.3 ms, version 0.1.0, certificate 6.5 days');
  expect(out).toContain('2  eu-pci  FAILED LINK_DOWN: connection refused');
  expect(err).toContain('at eu-pci');
  expect(err).toContain('what to do: eu-pci dials this link (last error: LINK_TIMEOUT): check that both run');
});

it.each([
  ['one', 'by one of its paths', [[1.5], []]],
  ['every', 'by any of its paths', [[], []]],
])('ping exits 1 when %s path fails', async (_, which, trips) => {
  const api = await startFakeApi();
  const error = { code: 'LINK_DOWN', detail: 'connection refused', hop: 'eu-b', remedy: 'Start it.' };
  const paths = trips.map((roundTripsMs, at) => ({
    path: [`eu-${at}`],
    roundTripsMs,
    ...(roundTripsMs.length > 0 ? {} : { error }),
  }));
  api.on('POST /api/v1/mesh/ping', (_request, response) => json(response, { paths }));
  const { code, out, err } = await isthmus([...api.args, 'mesh', 'ping', 'web-1']);
  expect(code).toBe(1);
  expect(out.match(/FAILED LINK_DOWN: connection refused/g)).toHaveLength(
    trips.filter(({ length }) => length === 0).length,
  );
  expect(err).toContain(`web-1 does not answer ${which}: LINK_DOWN (CHECK_FAILED at eu-b)`);
  expect(err).toContain('`isthmus mesh trace web-1`');
});

it.each<[string, object[], number, string]>([
  ['is healthy, or warns', [{ health: 'healthy' }, { health: 'warning' }], 0, ''],
  ['is unknown', [{ health: 'healthy' }, { health: 'unknown' }], 1, 'nothing is known of web-1 (CHECK_FAILED)'],
  [
    'is unreachable',
    [{ health: 'unreachable' }, { health: 'unknown' }],
    1,
    'not healthy: web-0; nothing is known of web-1',
  ],
  ['was last checked long ago', [{ health: 'healthy', healthAt: 999 }], 1, 'not checked for three intervals: web-0'],
  ['is disabled or revoked', [{ disabled: true }, { state: 'revoked' }], 1, 'nothing is known of any machine'],
])('health show says by its exit code when a machine %s', async (_, given, expected, text) => {
  const api = await startFakeApi();
  const items = given.map((each, at) => ({
    ...{ id: `web-${at}`, disabled: false, state: 'active', health: 'unknown', healthAt: 1_000, healthReport: null },
    ...each,
  }));
  const checks = { intervalS: 300, lastRoundAt: 60_000, outdatedBefore: 1_000 };
  api.on('GET /api/v1/health-checks', (_request, response) => json(response, checks));
  api.on('GET /api/v1/machines', (_request, response) => json(response, { items }));
  const { code, out, err } = await isthmus([...api.args, 'health', 'show']);
  expect(code).toBe(expected);
  expect(out).toMatch(/^checked every 5 minutes; the last round began at 1970-01-01 00:01:00Z\n/);
  expect(err).toContain(text);
});

it('health show says that nothing is checked by itself, and how a machine was checked', async () => {
  const api = await startFakeApi();
  const checks = { intervalS: 0, lastRoundAt: null, outdatedBefore: null };
  const machine = { id: 'web-1', disabled: false, state: 'active', health: 'healthy', healthAt: 1 };
  const items = [{ ...machine, healthReport: { health: 'healthy', by: 'report', reasons: [] } }];
  api.on('GET /api/v1/health-checks', (_request, response) => json(response, checks));
  api.on('GET /api/v1/machines', (_request, response) => json(response, { items }));
  const { code, out } = await isthmus([...api.args, 'health', 'show']);
  expect(code).toBe(0);
  expect(out).toMatch(/^no periodic checks \(healthCheckIntervalS of the server is 0\)\n/);
  expect(out).toMatch(/web-1 +1970-01-01 00:00:00Z +report/);
});

it('a pending join is no fault of the mesh', async () => {
  const api = await startFakeApi();
  const link = { from: 'server', to: 'eu', state: 'down', behind: null, dialledBy: 'parent', bytesDown: 0, bytesUp: 0 };
  const dialled = { address: 'eu.example:8444', lastErrorCode: 'UNREACHABLE' };
  const waits = { ...link, ...dialled, childState: 'pending' };
  api.on('GET /api/v1/nodes', (_request, response) => json(response, { items: [] }));
  api.on('GET /api/v1/mesh', (_request, response) => json(response, { nodes: [], links: [waits] }));
  const waiting = await isthmus([...api.args, 'mesh', 'status']);
  expect(waiting.code).toBe(0);
  expect(waiting.out).toMatch(/server +eu +pending join, dialled at eu\.example:8444 \(last error: UNREACHABLE\)/);
  const token = { id: 'k1', role: 'relay', site: 'eu', name: 'eu', expiresAt: 1, usedAt: null };
  const parents = [{ node: 'server', dialAddress: 'eu.example:8444' }];
  api.on('GET /api/v1/tokens', (_request, response) => json(response, { items: [{ ...token, parents }] }));
  const { out } = await isthmus([...api.args, 'token', 'list']);
  expect(out).toContain('server dials eu.example:8444 (last error: UNREACHABLE)');
  api.on('GET /api/v1/mesh', (_request, response) =>
    json(response, { nodes: [], links: [{ ...waits, childState: 'active' }] }),
  );
  const lost = await isthmus([...api.args, 'mesh', 'status']);
  expect(lost.code).toBe(1);
  expect(lost.err).toContain('down: server - eu (CHECK_FAILED)');
});

it('a dead relay is down, and what is behind it unknown', async () => {
  const api = await startFakeApi();
  const both = { childState: 'active', dialledBy: 'parent', bytesDown: 0, bytesUp: 0 };
  const links = [
    { ...both, from: 'server', to: 'eu', state: 'down', behind: null },
    { ...both, from: 'eu', to: 'eu-1', state: 'unknown', behind: 'eu' },
  ];
  const node = {
    id: 'eu-1',
    role: 'tentacle',
    site: 'eu',
    state: 'active',
    live: 'unknown',
    behind: 'eu',
    clones: [],
  };
  api.on('GET /api/v1/nodes', (_request, response) => json(response, { items: [] }));
  api.on('GET /api/v1/mesh', (_request, response) => json(response, { nodes: [node], links }));
  const { code, out, err } = await isthmus([...api.args, 'mesh', 'status']);
  expect(code).toBe(1);
  expect(out).toMatch(/server +eu +down /);
  expect(out).toMatch(/eu +eu-1 +unknown behind eu /);
  expect(out).toMatch(/eu-1 +tentacle +eu +unknown behind eu /);
  expect(out).not.toMatch(/DOWN/);
  expect(err).toContain('down: server - eu; unknown: 1 (CHECK_FAILED)');
});

it('the log of a component is escaped too', async () => {
  const script = [
    `import { createLogger } from ${JSON.stringify(join(import.meta.dirname, '../../lib/telemetry/log.ts'))};`,
    "createLogger({ component: 'test' }).warn({ err: process.argv[1], [process.argv[1]]: new Error(process.argv[1]) }, process.argv[1]);",
  ].join('\n');
  // An argument cannot hold these; JSON escapes them itself.
  const argument = hostile.replaceAll('\0', '').replaceAll('\ud800', '');
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, argument]);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  expect(escapeText(stderr.trimEnd())).toBe(stderr.trimEnd());
  expect(JSON.parse(stderr)).toMatchObject({ msg: argument, err: argument });
});
