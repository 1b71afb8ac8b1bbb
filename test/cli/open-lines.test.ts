// Lines of a log that come in parts, or are written over: whole in a log, as they come where a task is followed.
import { PassThrough } from 'node:stream';
import { expect, it, onTestFinished, vi } from 'vitest';
import { run } from '../../cli/run.ts';
import { LiveRegion } from '../../cli/render/live.ts';
import { StreamView } from '../../cli/render/stream-view.ts';
import type { StreamEntry } from '../../contract/task-stream.ts';
import { json, startFakeApi } from '../support/fake-api.ts';
import { Screen } from '../support/screen.ts';
import { captureTerminal } from '../support/terminal.ts';

/** A log whose lines come in parts, those of another stream in between. */
const inParts = [
  ['stdout', '10 %', 'open'],
  ['stdout', '', 'return'],
  ['stdout', '20', 'open'],
  ['stderr', 'careful', 'newline'],
  ['stdout', ' %', 'open'],
  ['stdout', '', 'return'],
  ['stdout', 'done\r', 'newline'],
  ['stdout', 'Go on? ', 'open'],
].map(([stream, text, ending], index) => {
  const entry = { ticket: 'k1', machine: 'eu-1', step: 0, action: 'script', line: index + 1, at: 0 };
  return { kind: 'log', seq: index + 1, ...entry, stream, text, ending } as StreamEntry & { kind: 'log' };
});

it.each([
  ['on a terminal as they stand at the end', true, ['1 | done', '4 | careful', '8 | Go on? ']],
  ['elsewhere each', false, ['1 | 10 %', '3 | 20 %', '4 | careful', '7 | done', '8 | Go on? ']],
])('a log has the whole lines, rewritten ones %s', async (_how, redraws, expected) => {
  const api = await startFakeApi();
  api.on('GET /api/v1/tasks/t1/log', (_request, response) => json(response, { items: inParts }));
  const { terminal, written } = captureTerminal();
  expect(await run([...api.args, 'task', 'log', 't1'], { ...terminal, redraws })).toBe(0);
  expect(written().out).toBe(expected.map((line) => `eu-1 ${line}\n`).join(''));
});

it('shows the parts of a line as they come, each rewritten line by itself, where nothing can be redrawn', () => {
  const stdout = new PassThrough();
  const terminal = { ...captureTerminal().terminal, stdout };
  const view = new StreamView(new LiveRegion(terminal), terminal);
  const written = (): string => String(stdout.read() ?? '');
  const shown = inParts.map((part) => {
    view.showLog(part);
    return written();
  });
  view.close();
  expect([...shown, written()]).toEqual([
    ...['eu-1 | 10 %', '\n', 'eu-1 | 20', '\neu-1 | ! careful\n'],
    ...['eu-1 |  %', '\n', 'eu-1 | done\n', 'eu-1 | Go on? ', '\n'],
  ]);
});

it('redraws a line that is open until it ends, above the machines', () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const stdout = Object.assign(new PassThrough(), { columns: 0, rows: 0 });
  const terminal = { ...captureTerminal().terminal, stdout, redraws: true };
  const view = new StreamView(new LiveRegion(terminal), terminal);
  const screen = new Screen();
  const drawn = () => {
    vi.advanceTimersByTime(100);
    screen.take(String(stdout.read() ?? ''));
    return screen.lines.slice(0, -1);
  };
  view.showMachines(['eu-1 running']);
  const shown = inParts.map((part) => {
    view.showLog(part);
    return drawn();
  });
  const careful = 'eu-1 | ! careful';
  expect(shown).toEqual([
    ['eu-1 | 10 %', 'eu-1 running'],
    ['eu-1 | 10 %', 'eu-1 running'],
    ['eu-1 | 20', 'eu-1 running'],
    [careful, 'eu-1 | 20', 'eu-1 running'],
    [careful, 'eu-1 | 20 %', 'eu-1 running'],
    [careful, 'eu-1 | 20 %', 'eu-1 running'],
    [careful, 'eu-1 | done', 'eu-1 running'],
    [careful, 'eu-1 | done', 'eu-1 | Go on? ', 'eu-1 running'],
  ]);
  view.close();
  expect(drawn()).toEqual([careful, 'eu-1 | done', 'eu-1 | Go on? ', 'eu-1 running']);
});
