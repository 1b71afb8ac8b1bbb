// The script engine in one process, with real bash: the results of start, cancel and complete, and what they leave.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { ledGroupIsAlive } from '../../tentacle/scripts/launch/child-process.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { ended, freshEngine, logOf, openEngine, orderOf, textOf, witnessIn } from './support.ts';

const installation = { project: 'shop', environment: 'prod', step: 'web' };
const withCode = (code: string): unknown => expect.objectContaining({ code });

describe('start', () => {
  test('runs bash and tells exit code, streams and numbered lines', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('echo one; echo two >&2; echo "$GREETING"; exit 7', {
      payload: { env: { GREETING: 'hello' } },
    });
    expect(['RUNNING', 'EXITED']).toContain((await engine.start(order)).phase);
    const end = await ended(engine, order);
    expect(end).toMatchObject({ phase: 'EXITED', exitCode: 7, lastLine: 3, errorCode: '' });
    const lines = await logOf(engine, order);
    expect(textOf(lines, 'stdout')).toEqual(['one', 'hello']);
    expect(textOf(lines, 'stderr')).toEqual(['two']);
  });

  test('starts once per ticket, however often and at the same time it is asked, also after the end', async () => {
    const { engine, dataDir } = await freshEngine();
    const witness = witnessIn(dataDir);
    const ticket = newId();
    const order = orderOf(`${witness.testify(ticket)}; exit 3`, { ticket });
    await Promise.all(Array.from({ length: 20 }, () => engine.start(order)));
    await ended(engine, order);
    expect(await engine.start(order)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
    await engine.complete(order);
    await expect(engine.start(order)).rejects.toEqual(withCode('TICKET_ALREADY_USED'));
    expect(await witness.starts()).toEqual(new Map([[ticket, 1]]));
  });

  test('a completed ticket leaves a tombstone with its end, and no workspace', async () => {
    const { engine, dataDir } = await freshEngine();
    const order = orderOf('echo out; exit 4');
    await engine.start(order);
    await ended(engine, order);
    expect(await engine.complete(order)).toMatchObject({ phase: 'COMPLETED', exitCode: 4, lastLine: 1 });
    expect(await engine.complete(order)).toMatchObject({ phase: 'COMPLETED', exitCode: 4 });
    expect(await engine.status(order)).toMatchObject({ phase: 'COMPLETED', exitCode: 4 });
    expect(await engine.cancel(order)).toMatchObject({ phase: 'COMPLETED', exitCode: 4 });
    await expect(engine.log(order)).rejects.toEqual(withCode('TICKET_ALREADY_USED'));
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([]);
  });

  test('does not complete what has not ended', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('sleep 30');
    await engine.start(order);
    await expect(engine.complete(order)).rejects.toEqual(withCode('SCRIPT_NOT_ENDED'));
    await engine.cancel(order);
    await ended(engine, order);
  });

  test('knows no ticket that is not here, nor one of another task', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('true');
    await expect(engine.status(order)).rejects.toEqual(withCode('TICKET_UNKNOWN'));
    await expect(engine.complete(order)).rejects.toEqual(withCode('TICKET_UNKNOWN'));
    await expect(engine.log(order)).rejects.toEqual(withCode('TICKET_UNKNOWN'));
    await engine.start(order);
    await ended(engine, order);
    await expect(engine.status({ ...order, task: newId() })).rejects.toEqual(withCode('TICKET_UNKNOWN'));
    await engine.complete(order);
    await expect(engine.status({ ...order, task: newId() })).rejects.toEqual(withCode('TICKET_UNKNOWN'));
  });

  test('a cancel that comes before its start uses the ticket up, also after a restart', async () => {
    const { engine, dataDir, close } = await freshEngine();
    const witness = witnessIn(dataDir);
    const order = orderOf(witness.testify('late'));
    const cancelled = { phase: 'COMPLETED', errorCode: 'CANCELLED', startedAtMs: 0 };
    expect(await engine.cancel(order)).toMatchObject(cancelled);
    await expect(engine.start(order)).rejects.toEqual(withCode('TICKET_ALREADY_USED'));
    expect(await engine.cancel(order)).toMatchObject(cancelled);
    await close();
    const again = await openEngine(dataDir);
    await expect(again.engine.start(order)).rejects.toEqual(withCode('TICKET_ALREADY_USED'));
    expect(await again.engine.status(order)).toMatchObject(cancelled);
    const both = orderOf(witness.testify('both'));
    await again.engine.epochs.admit(both.task, both.epoch);
    const burning = again.engine.cancel(both);
    await nextTurn();
    const [consumed, started] = await Promise.allSettled([burning, again.engine.start(both)]);
    expect(consumed).toMatchObject({ status: 'fulfilled', value: cancelled });
    expect(started).toMatchObject({ status: 'rejected', reason: withCode('TICKET_ALREADY_USED') });
    const tooOld = orderOf('true', { ticket: 'not-an-id' });
    await expect(again.engine.cancel(tooOld)).rejects.toEqual(withCode('TICKET_TOO_OLD'));
    await again.close();
    expect(await witness.starts()).toEqual(new Map());
  });

  test('a stale epoch changes nothing, also after a restart', async () => {
    const { engine, dataDir, close } = await freshEngine();
    const witness = witnessIn(dataDir);
    const order = orderOf('sleep 30', { epoch: 5 });
    await engine.start(order);
    const late = orderOf(witness.testify('late'), { task: order.task, epoch: 4 });
    await expect(engine.start(late)).rejects.toEqual(withCode('STALE_EPOCH'));
    await expect(engine.cancel({ ...order, epoch: 4 })).rejects.toEqual(withCode('STALE_EPOCH'));
    expect(await engine.status({ ...order, epoch: 6 })).toMatchObject({ phase: 'RUNNING' });
    await close();
    const again = await openEngine(dataDir);
    await expect(again.engine.complete({ ...order, epoch: 5 })).rejects.toEqual(withCode('STALE_EPOCH'));
    await again.engine.cancel({ ...order, epoch: 6 });
    expect(await ended(again.engine, { ...order, epoch: 6 })).toMatchObject({ phase: 'CANCELLED' });
    await again.close();
    expect(await witness.starts()).toEqual(new Map());
  });

  test('an expired order is not started; one that was started is answered after its expiry', async () => {
    const { engine, dataDir } = await freshEngine();
    const witness = witnessIn(dataDir);
    const expired = orderOf(witness.testify('expired'), { expiresAtMs: Date.now() - 5 * 60_000 - 1_000 });
    await expect(engine.start(expired)).rejects.toEqual(withCode('ENVELOPE_EXPIRED'));
    const skewed = orderOf('exit 2', { expiresAtMs: Date.now() - 4 * 60_000 });
    await engine.start(skewed);
    await ended(engine, skewed);
    expect(await engine.start({ ...skewed, expiresAtMs: 1 })).toMatchObject({ exitCode: 2 });
    expect(await witness.starts()).toEqual(new Map());
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([skewed.ticket]);
  });

  test('a ticket older than what is remembered is rejected', async () => {
    const { engine, journal } = await freshEngine();
    await journal.append({ kind: 'mark', lowWaterMs: Date.now() - 1_000 });
    await expect(engine.start(orderOf('true', { ticket: newId(Date.now() - 2_000) }))).rejects.toEqual(
      withCode('TICKET_TOO_OLD'),
    );
    await expect(engine.start(orderOf('true', { ticket: 'not-an-id' }))).rejects.toEqual(withCode('TICKET_TOO_OLD'));
  });

  test('rejects what it cannot run, and leaves nothing behind', async () => {
    const { engine, journal, dataDir } = await freshEngine();
    const witness = witnessIn(dataDir);
    const rejected: [string, Parameters<typeof orderOf>[1]][] = [
      ['INTERPRETER_MISSING', { payload: { interpreter: 'cobol' } }],
      ['ENV_NAME_FORBIDDEN', { payload: { env: { LD_PRELOAD: '/tmp/x.so' } } }],
      ['ENV_NAME_FORBIDDEN', { payload: { env: { NODE_OPTIONS: '--inspect' } } }],
      ['ENV_NAME_FORBIDDEN', { payload: { env: { BASH_ENV: '/tmp/x' } } }],
      ['ENV_NAME_FORBIDDEN', { payload: { env: { 'A=B': 'x' } } }],
      ['ENV_NAME_FORBIDDEN', { payload: { env: { A: 'nul\0' } } }],
      ['SENSITIVE_TOO_SHORT', { payload: { sensitiveValues: ['abc'] } }],
      ['SENSITIVE_TOO_LARGE', { payload: { sensitiveValues: ['x'.repeat(70_000)] } }],
      ['INVALID_FIELD', { payload: { isolation: 'sometimes' } }],
    ];
    for (const [code, more] of rejected) {
      const order = orderOf(witness.testify(code), more);
      await expect(engine.start(order)).rejects.toEqual(withCode(code));
      expect(journal.ticket(order.ticket)).toBeUndefined();
    }
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([]);
    expect(await witness.starts()).toEqual(new Map());
  });

  test('rejects more open tickets than it may keep, unless some are long abandoned', async () => {
    const { engine } = await freshEngine({ limits: { mostOpen: 2, abandonedAfterMs: 0 } });
    const long = [orderOf('sleep 300'), orderOf('sleep 300')];
    for (const order of long) await engine.start(order);
    await expect(engine.start(orderOf('true'))).rejects.toEqual(withCode('RESOURCE_EXHAUSTED'));
    for (const order of long) {
      await engine.cancel(order);
      await ended(engine, order);
    }
    const next = orderOf('true');
    await engine.start(next);
    await ended(engine, next);
    expect(await engine.status(long[0]!)).toMatchObject({ phase: 'COMPLETED' });
  });

  test('keeps nothing of a ticket that was abandoned long ago once it starts again', async () => {
    const { engine, dataDir, close } = await freshEngine();
    const [order, running] = [orderOf('echo in the clear'), orderOf('sleep 300')];
    await engine.start(order);
    await ended(engine, order);
    await engine.start(running);
    await close();
    const young = await openEngine(dataDir);
    expect(await young.engine.status(order)).toMatchObject({ phase: 'EXITED' });
    await young.close();
    const old = await openEngine(dataDir, { limits: { abandonedAfterMs: 0 } });
    onTestFinished(old.close);
    expect(await old.engine.status(order)).toMatchObject({ phase: 'COMPLETED' });
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([running.ticket]);
    await old.engine.cancel(running);
    await ended(old.engine, running);
  });

  test('runs sh', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('echo "${BASH_VERSION-none}"; exit 3', { payload: { interpreter: 'sh' } });
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
    const bash = execFileSync('sh', ['-c', 'echo "${BASH_VERSION-none}"'], { encoding: 'utf8' }).trim();
    expect(textOf(await logOf(engine, order))).toEqual([bash]);
  });

  test.skipIf(lacks('python3'))('runs python, and its output is there at once', async () => {
    const { engine } = await freshEngine();
    const body = 'import os, time\nprint("up", os.environ["OWN"])\ntime.sleep(300)';
    const order = orderOf(body, { payload: { interpreter: 'python', env: { OWN: 'x' } } });
    await engine.start(order);
    await waitFor(async () => textOf(await logOf(engine, order)).includes('up x'));
    await engine.cancel(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'CANCELLED', exitCode: 143, signal: 15 });
  });

  test('what the system cannot start has an end that says so', async () => {
    const { engine } = await freshEngine({ releaseFolder: () => Promise.resolve('/no/such/folder') });
    const order = orderOf('true', { payload: { installation } });
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 126, errorCode: 'SPAWN_FAILED' });
    const large = orderOf('true', { payload: { env: { LARGE: 'x'.repeat(200_000) } } });
    await engine.start(large);
    expect(await ended(engine, large)).toMatchObject({ exitCode: 126, errorCode: 'SPAWN_FAILED' });
  });

  test('works in the release of its own task', async () => {
    const folder = await tempDir();
    const order = orderOf('pwd', { payload: { installation } });
    await mkdir(join(folder, `web-${order.task}`));
    const { engine } = await freshEngine({
      releaseFolder: ({ step }, task) => Promise.resolve(join(folder, `${step}-${task}`)),
    });
    await engine.start(order);
    await ended(engine, order);
    expect(textOf(await logOf(engine, order))).toEqual([join(folder, `web-${order.task}`)]);
  });
});

describe('killed behind the back of the agent', () => {
  const latched = (latch: string): string => `until [ -e '${latch}' ]; do sleep 0.02; done`;

  async function kill(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    await waitFor(() => !existsSync(`/proc/${pid}`));
  }

  test('a launcher takes no script with it: the exit code is recorded all the same, and the next one starts', async () => {
    const { engine, dataDir } = await freshEngine();
    const latch = join(dataDir, 'latch');
    const order = orderOf(`cut -d' ' -f4 /proc/$PPID/stat; ${latched(latch)}; echo last; exit 5`);
    await engine.start(order);
    const launcher = Number(await waitFor(async () => textOf(await logOf(engine, order))[0]));
    await kill(launcher);
    const next = orderOf('exit 3');
    await engine.start(next);
    expect(await ended(engine, next)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
    expect(await engine.status(order)).toMatchObject({ phase: 'RUNNING' });
    await writeFile(latch, '');
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 5 });
    expect(textOf(await logOf(engine, order), 'stdout')).toEqual([String(launcher), 'last']);
  });

  test.each(['SIGKILL', 'SIGRTMIN+3'])(
    'a supervisor by %s: the end of its script is waited for, its exit code is not guessed',
    async (signal) => {
      const { engine, dataDir } = await freshEngine();
      const latch = join(dataDir, 'latch');
      const order = orderOf(`kill -${signal.slice(3)} $PPID; echo killed; ${latched(latch)}; echo last`);
      await engine.start(order);
      await waitFor(async () => textOf(await logOf(engine, order)).includes('killed'));
      expect(await engine.status(order)).toMatchObject({ phase: 'RUNNING' });
      await writeFile(latch, '');
      expect(await ended(engine, order)).toMatchObject({ phase: 'INTERRUPTED', errorCode: 'SCRIPT_INTERRUPTED' });
      expect(textOf(await logOf(engine, order), 'stdout')).toEqual(['killed', 'last']);
    },
  );

  test('an exit file that is gone: the exit code is not guessed', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('rm ../exit; exit 0');
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'INTERRUPTED', errorCode: 'SCRIPT_INTERRUPTED' });
  });
});

describe('a script that a signal ends', () => {
  /** Ignored, or they stop the process. */
  const HARMLESS: readonly number[] = [17, 18, 19, 20, 21, 22, 23, 28];

  test('has the exit code 128 + n and the number n, for every signal that ends a process', async () => {
    const { engine } = await freshEngine({ limits: { mostRunning: 8 } });
    const signals = Array.from({ length: 64 }, (_, index) => index + 1).filter((n) => !HARMLESS.includes(n));
    const ends = await Promise.all(
      signals.map(async (signal) => {
        const order = orderOf(`ulimit -c 0; exec sh -c 'kill -${signal} $$; exit 0'`);
        await engine.start(order);
        const { phase, exitCode, signal: told } = await ended(engine, order);
        return { phase, exitCode, told };
      }),
    );
    expect(ends).toEqual(signals.map((told) => ({ phase: 'EXITED', exitCode: 128 + told, told })));
  });

  test('together with its process group has them, too', async () => {
    const { engine } = await freshEngine();
    for (const signal of [9, 15, 35, 64]) {
      const order = orderOf(`kill -${signal} 0; sleep 60`);
      await engine.start(order);
      expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 128 + signal, signal });
    }
  });

  test('is told from one that ends with such an exit code itself', async () => {
    const { engine } = await freshEngine();
    for (const exitCode of [137, 143, 163, 192, 255]) {
      const order = orderOf(`exit ${exitCode}`);
      await engine.start(order);
      const end = await ended(engine, order);
      expect(end).toMatchObject({ phase: 'EXITED', exitCode });
      expect(end.signal).toBeUndefined();
    }
  });
});

describe('what a script can see', () => {
  test('an allow-list of the environment, its body in a 0600 file, nothing on its command line', async () => {
    const { engine, dataDir } = await freshEngine();
    process.env['AGENT_SECRET'] = 'canary-of-the-agent';
    onTestFinished(() => {
      delete process.env['AGENT_SECRET'];
    });
    const order = orderOf(
      'env | sort; tr "\\0" " " < /proc/$$/cmdline; echo; tr "\\0" " " < /proc/$PPID/cmdline; sleep 30',
      {
        payload: { env: { OWN: 'x', pid: 'y' } },
      },
    );
    await engine.start(order);
    const lines = await waitFor(async () => {
      const log = textOf(await logOf(engine, order));
      return log.some((line) => line.includes('body')) && log;
    });
    expect(lines.filter((line) => /^\w+=/.test(line)).map((line) => line.split('=')[0])).toEqual(
      expect.arrayContaining(['HOME', 'LOGNAME', 'OWN', 'PATH', 'USER']),
    );
    expect(lines).toContain('pid=y');
    expect(lines.join('\n')).not.toContain('canary');
    const workspace = join(dataDir, 'tickets', order.ticket);
    for (const file of ['body', 'stdout', 'stderr', 'payload.sealed', 'exit']) {
      expect((await stat(join(workspace, file))).mode & 0o777).toBe(0o600);
    }
    await engine.cancel(order);
    await ended(engine, order);
  });

  test("the usual soft limit of open files, and the agent's own hard limit", async () => {
    const { engine } = await freshEngine();
    const hard = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
    const order = orderOf('ulimit -Sn; ulimit -Hn');
    await engine.start(order);
    await ended(engine, order);
    expect(textOf(await logOf(engine, order))).toEqual(['1024', hard]);
  });

  test.skipIf(lacks('root'))('with a script user: neither keys, nor raw output, nor other workspaces', async () => {
    const { engine, dataDir } = await freshEngine({ scriptUser: 'nobody' });
    await mkdir(join(dataDir, 'identity'), { mode: 0o700 });
    await writeFile(join(dataDir, 'identity', 'node.json'), 'key', { mode: 0o600 });
    const other = orderOf('echo other');
    await engine.start(other);
    await ended(engine, other);
    const order = orderOf(
      [
        'id -un; touch mine && echo wrote; echo "$HOME"',
        `for path in ../stdout ../payload.sealed ../exit ../../${other.ticket}/lines ../../${other.ticket}/body ../../../identity/node.json ../../../seal.key ../../../journal/journal; do`,
        '  cat "$path" > /dev/null 2>&1 && echo "reached $path"',
        `done; for path in .. ../.. ../../${other.ticket}/work; do ls $path > /dev/null 2>&1 && echo "listed $path"; done;`,
        ' cat /proc/self/fd/1 2> /dev/null; true',
      ].join('\n'),
    );
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ exitCode: 0 });
    const lines = textOf(await logOf(engine, order));
    expect(lines.slice(0, 2)).toEqual(['nobody', 'wrote']);
    expect(lines.filter((line) => /^(reached|listed)/.test(line))).toEqual([]);
  });

  test('a script user that does not exist stops the start', async () => {
    await expect(openEngine(await tempDir(), { scriptUser: 'no-such-user' })).rejects.toEqual(
      withCode('SCRIPT_USER_UNKNOWN'),
    );
  });
});

describe('cancel and time limit', () => {
  const stubborn = "trap '' TERM; (trap '' TERM; exec -a grandchild sleep 300) & echo $!; echo up; wait; sleep 300";

  test('a cancel ends the whole process group, with grandchildren that ignore the request', async () => {
    const { engine, journal } = await freshEngine();
    const order = orderOf(stubborn);
    await engine.start(order);
    await waitFor(async () => textOf(await logOf(engine, order)).includes('up'));
    const { state } = journal.ticket(order.ticket)!;
    await Promise.all([engine.cancel(order), engine.cancel(order)]);
    expect(await ended(engine, order)).toMatchObject({ phase: 'CANCELLED', errorCode: 'CANCELLED' });
    expect(state.phase === 'running' && ledGroupIsAlive(state.childProcess)).toBe(false);
    expect(await engine.cancel(order)).toMatchObject({ phase: 'CANCELLED' });
  });

  test.each([
    ['by the request', 'echo up; sleep 60', { exitCode: 143, signal: 15 }],
    ['by itself', "trap 'exit 3' TERM; echo up; sleep 60 & wait", { exitCode: 3 }],
    ['by force', "trap '' TERM; echo up; while :; do sleep 0.1; done", { exitCode: 137, signal: 9 }],
  ])('a cancelled script tells how it ended: %s', async (_how, body, exit) => {
    const { engine } = await freshEngine();
    const order = orderOf(body);
    await engine.start(order);
    await waitFor(async () => textOf(await logOf(engine, order)).includes('up'));
    await engine.cancel(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'CANCELLED', ...exit });
    expect(await engine.complete(order)).toMatchObject({ phase: 'COMPLETED', ...exit });
  });

  test('a stopped group dies too', async () => {
    const { engine, journal } = await freshEngine();
    const order = orderOf('echo up; kill -STOP 0');
    await engine.start(order);
    const running = await waitFor(() => {
      const state = journal.ticket(order.ticket)?.state;
      return state?.phase === 'running' && state;
    });
    await waitFor(async () => / T /.test(await readFile(`/proc/${running.childProcess.pid}/stat`, 'latin1')));
    await engine.cancel(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'CANCELLED' });
  });

  test('the time limit ends it and says so', async () => {
    const { engine } = await freshEngine();
    const order = orderOf(stubborn, { payload: { timeLimitS: 1 } });
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'TIMED_OUT', errorCode: 'TIME_LIMIT' });
    expect(await engine.status(order)).toMatchObject({ exitCode: 137, signal: 9 });
    expect(textOf(await logOf(engine, order), 'agent')).toEqual(['TIME_LIMIT: killed after 1 s']);
  });

  test('cancel against completion: one end, which does not change any more', async () => {
    const { engine } = await freshEngine();
    const phases = new Set<string>();
    for (let round = 0; round < 12; round += 1) {
      const order = orderOf(`sleep 0.0${round}; exit 9`);
      await engine.start(order);
      await new Promise((resolve) => setTimeout(resolve, round * 5));
      await engine.cancel(order);
      const end = await ended(engine, order);
      phases.add(end.phase);
      if (end.phase === 'EXITED') expect(end.exitCode).toBe(9);
      else expect(end.phase).toBe('CANCELLED');
      expect(await engine.cancel(order)).toEqual(end);
      expect(await engine.start(order)).toEqual(end);
    }
    expect(phases.size).toBeGreaterThan(0);
  });
});

describe('isolation', () => {
  test('exclusive scripts run alone and name their holder; shared ones run side by side behind them', async () => {
    const { engine, dataDir } = await freshEngine();
    const latch = join(dataDir, 'latch');
    const until = (file: string): string => `until [ -e '${file}' ]; do sleep 0.02; done`;
    const first = orderOf(until(latch), { payload: { isolation: 'exclusive' } });
    const second = orderOf('true', { payload: { isolation: 'exclusive' } });
    const shared = [orderOf('true'), orderOf('true')];
    expect((await engine.start(first)).phase).toBe('RUNNING');
    expect(await engine.start(second)).toMatchObject({ phase: 'WAITING', heldBy: first.task });
    for (const order of shared)
      expect(await engine.start(order)).toMatchObject({ phase: 'WAITING', heldBy: first.task });
    expect(engine.runningCount).toBe(1);
    await writeFile(latch, '');
    for (const order of [first, second, ...shared]) expect((await ended(engine, order)).exitCode).toBe(0);
  });

  test('a cancelled waiter never starts and holds up nobody', async () => {
    const { engine, dataDir } = await freshEngine();
    const witness = witnessIn(dataDir);
    const holder = orderOf('sleep 300', { payload: { isolation: 'exclusive' } });
    const waiter = orderOf(witness.testify('waiter'), { payload: { isolation: 'exclusive' } });
    const last = orderOf(witness.testify('last'), { payload: { isolation: 'exclusive' } });
    for (const order of [holder, waiter, last]) await engine.start(order);
    expect(await engine.cancel(waiter)).toMatchObject({ phase: 'CANCELLED', startedAtMs: 0 });
    await engine.cancel(holder);
    await ended(engine, last);
    expect(await witness.starts()).toEqual(new Map([['last', 1]]));
  });
});
