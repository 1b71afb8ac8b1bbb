// What an agent recovers when it starts: only its own scripts, and each of them gets an end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { IsthmusError } from '../../contract/errors.ts';
import { bootId } from '../../lib/boot-id.ts';
import { newId } from '../../lib/ids.ts';
import { Journal } from '../../tentacle/journal/journal.ts';
import { identify } from '../../tentacle/scripts/launch/child-process.ts';
import { tempDir } from '../support/temp.ts';
import { ended, endScriptsIn, openEngine, orderOf } from './support.ts';

const spec = { isolation: 'exclusive', timeLimitS: 0, expiresAtMs: Date.now() + 60_000 } as const;

test('leaves the group alone of a process that has the number of its script now', async () => {
  const dataDir = await tempDir();
  const stranger = spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
  await once(stranger, 'spawn');
  const gone = once(stranger, 'exit');
  const now = identify(stranger.pid!)!;
  const [ticket, task, startedAtMs] = [newId(), newId(), Date.now()];
  const journal = await Journal.open(dataDir);
  const childProcess = { ...now, startTicks: now.startTicks - 1 };
  const state = {
    phase: 'running',
    spec,
    attempt: 1,
    childProcess,
    startedAtMs,
  } as const;
  await journal.append({ kind: 'ticket', ticket, task, state });
  await journal.close();
  const { engine, close } = await openEngine(dataDir);
  const key = { ...orderOf(''), ticket, task };
  await engine.cancel(key);
  expect(await ended(engine, key)).toMatchObject({ phase: 'INTERRUPTED' });
  await close();
  expect([stranger.exitCode, stranger.signalCode, identify(stranger.pid!)]).toEqual([null, null, now]);
  stranger.kill('SIGKILL');
  await gone;
});

test.each([
  ['of which the server has lines: the journal is an older copy', { afterLine: 3 }],
  ['that may have run in another process of the node', { neverStart: true }],
])('interrupts a waiting script %s', async (_, request) => {
  const dataDir = await tempDir();
  const journal = await Journal.open(dataDir);
  const [ticket, task] = [newId(), newId()];
  await journal.append({ kind: 'ticket', ticket, task, state: { phase: 'waiting', spec } });
  await journal.close();
  const { engine, close } = await openEngine(dataDir);
  onTestFinished(close);
  const key = { ...orderOf(''), ticket, task };
  await engine.log(key, request);
  expect(await ended(engine, key)).toMatchObject({ phase: 'INTERRUPTED', startedAtMs: 0 });
});

test('ends a script that cannot be queued again because the disk is full', async () => {
  const dataDir = await tempDir();
  onTestFinished(() => endScriptsIn(dataDir));
  const exclusive = { payload: { isolation: 'exclusive' } };
  const [holder, queued] = [orderOf('sleep 300', exclusive), orderOf('true', exclusive)];
  const first = await openEngine(dataDir);
  await first.engine.start(holder);
  await first.engine.start(queued);
  await first.close();
  const journal = await Journal.open(dataDir);
  const state = { phase: 'starting', spec, attempt: 1, bootId: bootId() } as const;
  await journal.append({ kind: 'ticket', ticket: queued.ticket, task: queued.task, state });
  await journal.close();
  const full = vi.spyOn(Journal.prototype, 'append').mockRejectedValueOnce(new IsthmusError('DISK_FULL', 'full'));
  onTestFinished(() => full.mockRestore());
  const { engine, close } = await openEngine(dataDir);
  onTestFinished(close);
  await engine.start(queued);
  expect(await ended(engine, queued, 5_000)).toMatchObject({ errorCode: 'DISK_FULL', startedAtMs: 0 });
  await engine.cancel(holder);
  await ended(engine, holder);
});

test('counts a time limit by how long the script has run, not by a clock that was set', async () => {
  const dataDir = await tempDir();
  onTestFinished(() => endScriptsIn(dataDir));
  const latch = join(dataDir, 'latch');
  const order = orderOf(`until [ -e '${latch}' ]; do sleep 0.02; done; exit 7`, { payload: { timeLimitS: 60 } });
  const first = await openEngine(dataDir);
  await first.engine.start(order);
  await first.close();
  const { now } = Date;
  const set = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000);
  onTestFinished(() => set.mockRestore());
  const { engine, close } = await openEngine(dataDir);
  onTestFinished(close);
  await writeFile(latch, '');
  expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 7 });
});
