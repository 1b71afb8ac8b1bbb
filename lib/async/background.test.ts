// What nobody waits for may fail: it is logged now and then, the process goes on, and the next turn runs.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { heardLog } from '../../test/support/heard-log.ts';
import { attempted, background, every, logErrorsOf } from './background.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const failures = (heard: ReturnType<typeof heardLog>) => heard.lines.filter(({ level }) => level === 'error');
const emfile = () => Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });

it.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw emfile();
    },
  ],
  ['rejects', () => Promise.reject(emfile())],
])('logs work that %s, and nothing else happens', async (_how, work) => {
  const heard = heardLog();
  await attempted('completion.sweep', heard.log, work);
  background('node.report', heard.log, work);
  await vi.advanceTimersByTimeAsync(0);
  expect(failures(heard)).toMatchObject([
    { task: 'completion.sweep', failures: 1, err: { code: 'EMFILE' } },
    { task: 'node.report', failures: 1 },
  ]);
});

it('begins at once', () => {
  const work = vi.fn();
  background('node.report', heardLog().log, work);
  expect(work).toHaveBeenCalledOnce();
});

it('goes on at the next turn, and logs a task that always fails once a minute, with the count', async () => {
  const heard = heardLog();
  const work = vi.fn(() => Promise.reject(emfile()));
  const stop = every(1_000, 'health.round', heard.log, work);
  await vi.advanceTimersByTimeAsync(62_000);
  stop();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(work).toHaveBeenCalledTimes(62);
  expect(failures(heard)).toMatchObject([{ failures: 1 }, { failures: 60 }]);
});

it('logs the errors of a listening server', () => {
  const [heard, server] = [heardLog(), new EventEmitter()];
  logErrorsOf(server, 'api.listener', heard.log);
  server.emit('error', emfile());
  expect(failures(heard)).toMatchObject([{ task: 'api.listener' }]);
});
