// What was acknowledged after its commit is intact after kill -9, and the folder opens again at once.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';
import { silentLogger } from '../../lib/telemetry/log.ts';
import { openStore } from '../../server/store/store.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';

const writer = fileURLToPath(new URL('crash-writer.ts', import.meta.url));

it.each([1, 5, 40, 200])('keeps what was acknowledged when killed after %i commits', async (commits) => {
  const dataDir = await tempDir();
  const { ticket, task, acknowledged } = await writeUntilKilled(dataDir, commits);
  const store = await openStore({ dataDir, log: silentLogger() });
  onTestFinished(() => store.close());
  const log = await store.logLines.read(ticket, 0, 10_000);
  expect(log.length).toBeGreaterThanOrEqual(acknowledged);
  expect(log.map((line) => line.line)).toEqual(log.map((_, index) => index + 1));
  // One transaction wrote both, so either both are there or neither is.
  const { items: events } = await store.events.list({ type: 'task.cancel-requested', limit: 10_000 });
  expect(events).toHaveLength(log.length / 3);
  expect(await store.tickets.get(ticket)).toMatchObject({ storedLine: log.length });
  expect((await store.tasks.get(task)).streamSeq).toBe(log.length + 1);
});

it.skipIf(lacks('strace'))('syncs every commit to the disk before it is acknowledged', async () => {
  const dataDir = await tempDir();
  const trace = join(dataDir, 'trace');
  const strace = ['-f', '-qq', '-e', 'trace=fsync,fdatasync,write', '-e', 'signal=none', '-o', trace];
  const { acknowledged } = await writeUntilKilled(dataDir, 30, ['strace', ...strace]);
  // In the order they happened: between two acknowledgements (one write of a number each) there is a sync.
  const calls = (await readFile(trace, 'utf8')).split('\n').flatMap((line) => {
    if (/\bf(data)?sync\(/.test(line)) return ['sync'];
    return /\bwrite\(1, "\d+\\n"/.test(line) ? ['acknowledged'] : [];
  });
  expect(calls.filter((call) => call === 'acknowledged').length).toBeGreaterThanOrEqual(acknowledged / 3);
  const unsynced = calls.filter((call, index) => call === 'acknowledged' && calls[index - 1] !== 'sync');
  expect(unsynced).toEqual([]);
});

/** Starts the writer, kills it after that many acknowledgements, and returns the last one seen. */
async function writeUntilKilled(dataDir: string, commits: number, under: readonly string[] = []) {
  const [command = process.execPath, ...words] = [...under, process.execPath, writer, dataDir];
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const exited = once(child, 'exit');
  let ids: string[] = [];
  let acknowledged = 0;
  let seen = -1;
  for await (const text of createInterface({ input: child.stdout })) {
    seen += 1;
    if (seen === 0) ids = text.split(' ');
    else acknowledged = Number(text);
    // The whole group: a tracer that is killed would leave the writer running.
    if (seen === commits) process.kill(-child.pid!, 'SIGKILL');
  }
  await exited;
  const [ticket, task] = ids;
  if (ticket === undefined || task === undefined) throw new Error('the writer said nothing');
  return { ticket, task, acknowledged };
}
