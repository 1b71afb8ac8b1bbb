// What is shown: everything from elsewhere is escaped, progress is told line by line where nothing can be redrawn.
import { PassThrough } from 'node:stream';
import { expect, it } from 'vitest';
import { escapeText } from '../../cli/render/escape.ts';
import { LiveRegion } from '../../cli/render/live.ts';
import { captureTerminal, isthmus } from '../support/terminal.ts';
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
      exitCode: stepState === 'failed' ? 3 : 0,
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
    const line = JSON.stringify({ ticket: 'k2', machine: 'eu-1', line: 1, at: 0, stream: 'stdout', text: hostile });
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(`id: 1\nevent: log\ndata: ${line}\n\nid: 2\nevent: end\ndata: {"state":"${end}"}\n\n`);
  });
}

it('shows control, escape and bidirectional characters, and obeys none', () => {
  const shown = escapeText(hostile);
  expect(shown).toBe(
    '\\x1b[2J\\x1b]52;c;cm0gLXJm\\x07 \\x0d\\x00 \\u202egnp.exe \\u2066x\\u2069 \\u2028 \\x9b31m \\ud800 </script>',
  );
  expect(escapeText('tab\tand Grüße 日本 👩‍🚀')).toBe('tab\tand Grüße 日本 👩‍🚀');
});

it('follows a task to its end: lines escaped, steps told, exit code its result', async () => {
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
    expect(out).toContain('eu-1: web/acquire succeeded · 10 B in 0.3 s from mirror-eu');
    expect(out).toContain(end === 'failed' ? 'eu-1: check/script failed (exit code 3)' : 'task t1 succeeded');
    expect(err).toContain(end === 'failed' ? 'TASK_NOT_SUCCESSFUL' : '');
  }
});

it('with -o json puts only the task on standard output', async () => {
  const api = await startFakeApi();
  serveTask(api, 'succeeded');
  const { out } = await isthmus([...api.args, '-o', 'json', 'task', 'follow', 't1']);
  expect(JSON.parse(out)).toMatchObject({ id: 't1', state: 'succeeded' });
});

it('escapes names in tables', async () => {
  const api = await startFakeApi();
  api.on('GET /api/v1/sites', (_request, response) =>
    json(response, { items: [{ id: 'eu', name: hostile, description: '' }] }),
  );
  const { out } = await isthmus([...api.args, 'site', 'list']);
  expect(out).toContain('\\x1b[2J');
  expect(out).not.toContain('\u001b');
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

it('tells the first hop that fails, and exits 1', async () => {
  const api = await startFakeApi();
  api.on('GET /api/v1/machines', (_request, response) => json(response, { items: [] }));
  const down = {
    from: 'eu',
    to: 'eu-pci',
    up: false,
    dialledBy: 'child',
    lastErrorCode: 'LINK_SILENT',
    bytesDown: 0,
    bytesUp: 0,
  };
  api.on('GET /api/v1/mesh', (_request, response) => json(response, { nodes: [], links: [down] }));
  api.on('POST /api/v1/mesh/trace', (_request, response) =>
    json(response, {
      ways: [
        {
          path: ['eu', 'eu-pci'],
          hops: [
            { node: 'eu', roundTripMs: 1.25, version: '0.1.0', certificateDays: 6.5 },
            { node: 'eu-pci', error: { code: 'LINK_DOWN', detail: 'refused', remedy: 'Start it.' } },
          ],
        },
      ],
    }),
  );
  const { code, out, err } = await isthmus([...api.args, 'mesh', 'trace', 'eu-pci-1']);
  expect(code).toBe(1);
  expect(out).toContain('1  eu  1.3 ms, version 0.1.0, certificate 6.5 days');
  expect(out).toContain('2  eu-pci  FAILED LINK_DOWN: refused');
  expect(err).toContain('at eu-pci');
  expect(err).toContain('what to do: eu-pci dials this link (it last met LINK_SILENT): check that both run');
});
