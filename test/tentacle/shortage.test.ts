// An agent that has no descriptor left, once or for a while. That passes, and says nothing of a script: each has its exit
// code and its whole log, or did not start.
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import type { ScriptEngine, ScriptOrder } from '../../tentacle/scripts/engine.ts';
import type { StatusMessage } from '../../tentacle/scripts/run/status.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { Host } from './host-client.ts';
import { ended, endScriptsIn, freshEngine, logOf, openEngine, orderOf, textOf, witnessIn } from './support.ts';

const shortage = vi.hoisted(() => ({ reached: (_path: string): boolean => false, code: 'EMFILE' }));

/** Fails as the system does, in what the agent opens in its data folder and in /proc. */
vi.mock(import('node:fs'), async (original) => {
  const fs = await original();
  const limited = <Open extends (...args: never[]) => unknown>(open: Open): Open =>
    ((...args: Parameters<Open>) => {
      const [path] = args as unknown[];
      if (typeof path === 'string' && shortage.reached(path)) {
        throw Object.assign(new Error(`${shortage.code}: ${path}`), { code: shortage.code });
      }
      return open(...args);
    }) as Open;
  const { openSync, readFileSync, readdirSync } = fs;
  return { ...fs, openSync: limited(openSync), readFileSync: limited(readFileSync), readdirSync: limited(readdirSync) };
});

const abundance = (): boolean => false;
const always = (): boolean => true;

afterEach(() => {
  shortage.reached = abundance;
  shortage.code = 'EMFILE';
});

const LINES = Array.from({ length: 100 }, (_, index) => `line ${index + 1}`);
const printing = 'for i in {1..100}; do echo "line $i"; done';

/** A start as the server makes it: again when it was not accepted. */
async function startedAgain(engine: ScriptEngine, order: ScriptOrder): Promise<StatusMessage> {
  try {
    return await engine.start(order);
  } catch (error) {
    expect(error).toMatchObject({ code: 'SPAWN_FAILED' });
    return engine.start(order);
  }
}

test('whichever file cannot be opened once, a script has its exit code and every line', async () => {
  const { engine, dataDir } = await freshEngine();
  const witness = witnessIn(dataDir);
  const tickets: string[] = [];
  for (let nth = 1; ; nth += 1) {
    let calls = 0;
    shortage.reached = () => (calls += 1) === nth;
    const order = orderOf(`${printing}; exit 7`);
    order.payload.body = `${witness.testify(order.ticket)}; ${order.payload.body}`;
    tickets.push(order.ticket);
    await startedAgain(engine, order);
    const end = await ended(engine, order);
    shortage.reached = abundance;
    expect(end, `open ${nth}`).toMatchObject({ phase: 'EXITED', exitCode: 7, errorCode: '' });
    expect(textOf(await logOf(engine, order)), `open ${nth}`).toEqual(LINES);
    await engine.complete(order);
    if (calls < nth) break;
  }
  expect(tickets.length).toBeGreaterThan(8);
  expect(await witness.starts()).toEqual(new Map(tickets.map((ticket) => [ticket, 1])));
});

test('a script that runs while there are none, and one that ends then, keep exit code and log', async () => {
  const { engine, dataDir } = await freshEngine();
  const latch = join(dataDir, 'latch');
  const order = orderOf(`echo $$; until [ -e '${latch}' ]; do sleep 0.01; done; ${printing}; exit 7`);
  await engine.start(order);
  const pid = await waitFor(async () => textOf(await logOf(engine, order))[0]);
  shortage.reached = always;
  await writeFile(latch, '');
  const running = `test -e /proc/${pid}`;
  execFileSync('sh', ['-c', `while ${running}; do sleep 0.01; done`]);
  await expect(engine.start(orderOf('true'))).rejects.toMatchObject({ code: 'SPAWN_FAILED' });
  expect(await engine.status(order)).toMatchObject({ phase: 'RUNNING' });
  shortage.reached = abundance;
  expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 7 });
  expect(textOf(await logOf(engine, order))).toEqual([pid, ...LINES]);
});

test('an agent that starts then takes a running script up', async () => {
  const dataDir = await tempDir();
  onTestFinished(() => endScriptsIn(dataDir));
  const latch = join(dataDir, 'latch');
  const order = orderOf(`${printing}; until [ -e '${latch}' ]; do sleep 0.01; done; exit 7`);
  const first = await openEngine(dataDir);
  await first.engine.start(order);
  await first.close();
  // Every other one fails: each of these looks is repeated.
  let calls = 0;
  shortage.reached = (path) => /^\/proc|\/tickets\//.test(path) && (calls += 1) % 2 === 0;
  const second = await openEngine(dataDir);
  onTestFinished(second.close);
  expect(await second.engine.status(order)).toMatchObject({ phase: 'RUNNING' });
  await writeFile(latch, '');
  expect(await ended(second.engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 7 });
  shortage.reached = abundance;
  expect(textOf(await logOf(second.engine, order))).toEqual(LINES);
});

test('a log that cannot be read at all says so, and the end is told', async () => {
  const { engine } = await freshEngine();
  shortage.code = 'EACCES';
  shortage.reached = (path) => path.endsWith('/stdout');
  const order = orderOf(`${printing}; exit 7`);
  await engine.start(order);
  expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 7, lastLine: 1 });
  expect(textOf(await logOf(engine, order), 'agent')[0]).toMatch(/^the log ends here: .*EACCES/);
});

test('a launcher that has none starts nothing, and the next script runs', async () => {
  const { engine } = await freshEngine();
  const order = orderOf("cut -d' ' -f4 /proc/$PPID/stat");
  await engine.start(order);
  await ended(engine, order);
  const launcher = textOf(await logOf(engine, order))[0]!;
  const limit = (files: string): Buffer => execFileSync('prlimit', ['--pid', launcher, `--nofile=${files}:`]);
  limit('20');
  const starved = orderOf('echo ran');
  await engine.start(starved);
  expect(await ended(engine, starved)).toMatchObject({ errorCode: 'SPAWN_FAILED', startedAtMs: 0, lastLine: 0 });
  limit('1024');
  const next = orderOf('exit 3');
  await engine.start(next);
  expect(await ended(engine, next)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
});

/** The limit of open files that leaves a process so many more. */
function limitLeaving(pid: number, more: number): number {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let [limit, free] = [0, 0];
  while (free < more) {
    if (!open.has(limit)) free += 1;
    limit += 1;
  }
  return limit;
}

test('an agent with few descriptors left starts a script or says that it did not, and lives', async () => {
  const host = new Host(await tempDir());
  const limit = (files: number): Buffer => execFileSync('prlimit', ['--pid', String(host.pid), `--nofile=${files}:`]);
  // Loads what a start needs.
  await expect(host.start(orderOf('true', { expiresAtMs: 0 }))).rejects.toMatchObject({ code: 'ENVELOPE_EXPIRED' });
  const outcomes: string[] = [];
  while (outcomes.at(-1) !== 'EXITED') {
    const order = orderOf('echo ran');
    limit(limitLeaving(host.pid, outcomes.length));
    const rejected = await host.start(order).then(
      () => undefined,
      ({ code }: { code: string }) => code,
    );
    limit(1024);
    if (rejected !== undefined) outcomes.push(`rejected: ${rejected}`);
    else {
      const { phase, errorCode, startedAtMs } = await host.ended(order);
      outcomes.push(phase === 'EXITED' && errorCode !== '' ? `ended: ${errorCode} ${startedAtMs}` : String(phase));
    }
  }
  expect(new Set(outcomes)).toEqual(new Set(['rejected: SPAWN_FAILED', 'ended: SPAWN_FAILED 0', 'EXITED']));
});
