// The agent is killed with -9, in every phase of a script, and started again. Checked are the witness file (I1: at most
// one start per ticket), the script's own record of what it printed (I3), and its exit code.
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { newId } from '../../lib/ids.ts';
import { identify, ledGroupIsAlive } from '../../tentacle/scripts/launch/child-process.ts';
import { lacks } from '../support/needs.ts';
import { wholeLines } from '../support/lines.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { Host, HostDied } from './host-client.ts';
import { orderOf, textOf, witnessIn } from './support.ts';

const until = (file: string): string => `until [ -e '${file}' ]; do sleep 0.02; done`;

/** As if the agent had been killed before it journalled that a script runs. */
async function keepJournalUpToStart(dataDir: string): Promise<void> {
  const path = join(dataDir, 'journal', 'journal');
  const records = (await readFile(path, 'utf8')).split('\n');
  const start = records.findIndex((record) => record.includes('"phase":"starting"'));
  await writeFile(path, `${records.slice(0, start + 1).join('\n')}\n`);
}

async function parentOf(pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')[1]!.split(' ')[1]);
}

describe('an agent that was killed', () => {
  test('takes a running script up again, with the whole log and the real exit code', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const ticket = newId();
    const latch = join(dataDir, 'latch');
    const printed = join(dataDir, 'printed');
    const loop = `for i in $(seq 1 400); do echo "line $i" | tee -a '${printed}'; done`;
    const order = orderOf(`${witness.testify(ticket)}; ${loop}; ${until(latch)}; ${loop}; printf end; exit 42`, {
      ticket,
    });
    const first = new Host(dataDir);
    await first.start(order);
    await waitFor(async () => (await first.lines(order)).length > 50);
    await first.kill();
    const second = new Host(dataDir);
    expect(await second.start(order)).toMatchObject({ phase: 'RUNNING' });
    await writeFile(latch, '');
    await waitFor(async () => (await second.lines(order)).length > 500);
    await second.kill();
    const third = new Host(dataDir);
    const end = await third.ended(order);
    expect(end).toMatchObject({ phase: 'EXITED', exitCode: 42, lastLine: 801 });
    const expected = (await readFile(printed, 'utf8')).trimEnd().split('\n');
    expect(textOf(await third.lines(order))).toEqual([...expected, 'end']);
    expect(await witness.starts()).toEqual(new Map([[ticket, 1]]));
  });

  test('between the start of a script and writing down that it runs: takes it up, does not start it again', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const ticket = newId();
    const latch = join(dataDir, 'latch');
    const order = orderOf(`${witness.testify(ticket)}; echo up; ${until(latch)}; exit 21`, { ticket });
    const first = new Host(dataDir);
    await first.start(order);
    await waitFor(async () => (await first.lines(order)).length === 1);
    await first.kill();
    await keepJournalUpToStart(dataDir);
    const second = new Host(dataDir);
    expect(await second.start(order)).toMatchObject({ phase: 'RUNNING' });
    await writeFile(latch, '');
    expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 21, lastLine: 1 });
    expect(await witness.starts()).toEqual(new Map([[ticket, 1]]));
  });

  test('finds the exit code of a script that ended in the meantime, and tells it once', async () => {
    const dataDir = await tempDir();
    const latch = join(dataDir, 'latch');
    const done = join(dataDir, 'done');
    const order = orderOf(`${until(latch)}; echo last; : > '${done}'; exit 5`);
    const first = new Host(dataDir);
    await first.start(order);
    await first.kill();
    await writeFile(latch, '');
    await waitFor(() =>
      readFile(join(dataDir, 'tickets', order.ticket, 'exit'), 'utf8').then((text) => /^5 /m.test(text)),
    );
    const second = new Host(dataDir);
    expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 5, lastLine: 1 });
    await second.complete(order);
    await second.kill();
    const third = new Host(dataDir);
    expect(await third.status(order)).toMatchObject({ phase: 'COMPLETED', exitCode: 5 });
    await expect(third.start(order)).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
  });

  test('and whose script was killed meanwhile: its exit code is recorded', async () => {
    const dataDir = await tempDir();
    const order = orderOf('echo $$; printf half; sleep 300');
    const first = new Host(dataDir);
    await first.start(order);
    const pid = Number(await waitFor(async () => textOf(await first.lines(order))[0]));
    await first.kill();
    process.kill(-pid, 'SIGKILL');
    const second = new Host(dataDir);
    expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 137, signal: 9, lastLine: 2 });
  });

  test('together with its script and its supervisor: interrupted, the log up to the last line on disk, the cut marked', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const ticket = newId();
    const order = orderOf(`${witness.testify(ticket)}; echo "pid $$"; echo shown; printf half; sleep 300`, { ticket });
    const first = new Host(dataDir);
    await first.start(order);
    const lines = await waitFor(async () => {
      const log = textOf(await first.lines(order));
      return log.includes('shown') && log;
    });
    const pid = Number(lines[0]!.split(' ')[1]);
    const supervisor = await parentOf(pid);
    await first.kill();
    process.kill(supervisor, 'SIGKILL');
    process.kill(-pid, 'SIGKILL');
    const second = new Host(dataDir);
    const end = await second.ended(order);
    expect(end).toMatchObject({ phase: 'INTERRUPTED', errorCode: 'SCRIPT_INTERRUPTED', lastLine: 4 });
    const log = await second.lines(order);
    expect(textOf(log, 'stdout')).toEqual([lines[0], 'shown', 'half']);
    expect(textOf(log, 'agent')[0]).toContain('SCRIPT_INTERRUPTED: the log is cut off here');
    expect(await second.start(order)).toMatchObject({ phase: 'INTERRUPTED' });
    expect(await witness.starts()).toEqual(new Map([[ticket, 1]]));
  });

  test('together with its launcher: the exit code is recorded all the same', async () => {
    const dataDir = await tempDir();
    const latch = join(dataDir, 'latch');
    const order = orderOf(`echo $$; ${until(latch)}; exit 11`);
    const first = new Host(dataDir);
    await first.start(order);
    const pid = Number(await waitFor(async () => textOf(await first.lines(order))[0]));
    const launcher = await parentOf(await parentOf(pid));
    await first.kill();
    process.kill(launcher, 'SIGKILL');
    const second = new Host(dataDir);
    expect(await second.start(order)).toMatchObject({ phase: 'RUNNING' });
    await writeFile(latch, '');
    expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 11 });
  });

  test('and whose workspace somebody removed meanwhile: interrupted, and the agent starts', async () => {
    const dataDir = await tempDir();
    const order = orderOf('echo $$; sleep 300');
    const first = new Host(dataDir);
    await first.start(order);
    const pid = Number(await waitFor(async () => textOf(await first.lines(order))[0]));
    const group = Number((await readFile(`/proc/${pid}/stat`, 'latin1')).split(') ')[1]!.split(' ')[2]);
    await first.kill();
    process.kill(-group, 'SIGKILL');
    await rm(join(dataDir, 'tickets', order.ticket), { recursive: true });
    const second = new Host(dataDir);
    expect(await second.ended(order)).toMatchObject({ phase: 'INTERRUPTED' });
    // The output that was read by then is in the journal.
    expect(textOf(await second.lines(order), 'stdout')).toEqual([String(pid)]);
    expect(await second.complete(order)).toMatchObject({ phase: 'COMPLETED' });
  });

  test('with scripts in its queue: each runs once', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const latch = join(dataDir, 'latch');
    const exclusive = { isolation: 'exclusive' };
    const holder = orderOf(until(latch), { payload: exclusive });
    const queued = Array.from({ length: 3 }, () => {
      const ticket = newId();
      return orderOf(witness.testify(ticket), { ticket, payload: exclusive });
    });
    const first = new Host(dataDir);
    for (const order of [holder, ...queued]) await first.start(order);
    await first.kill();
    const second = new Host(dataDir);
    // Only the server knows whether they are still to run: each waits until it asks for it.
    for (const order of queued) {
      expect(await second.start(order)).toMatchObject({ phase: 'WAITING', heldBy: holder.task });
    }
    await writeFile(latch, '');
    for (const order of queued) expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect(await witness.starts()).toEqual(new Map(queued.map(({ ticket }) => [ticket, 1])));
  });

  test('with a script in its queue that no server asks for: starts it never', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const latch = join(dataDir, 'latch');
    const exclusive = { isolation: 'exclusive' };
    const holder = orderOf(until(latch), { payload: exclusive });
    const [unasked, last] = [newId(), newId()].map((ticket) =>
      orderOf(witness.testify(ticket), { ticket, payload: exclusive }),
    );
    const first = new Host(dataDir);
    await first.start(holder);
    await first.start(unasked!);
    await first.kill();
    await writeFile(latch, '');
    const second = new Host(dataDir);
    await second.start(last!);
    expect(await second.ended(last!)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect(await second.status(unasked!)).toMatchObject({ phase: 'WAITING' });
    expect(await witness.starts()).toEqual(new Map([[last!.ticket, 1]]));
    await second.cancel(unasked!);
    expect(await second.ended(unasked!)).toMatchObject({ phase: 'CANCELLED', startedAtMs: 0 });
  });

  test('while it was ending a script: goes on ending it', async () => {
    const dataDir = await tempDir();
    const order = orderOf("trap '' TERM; echo $$; while :; do sleep 0.1; done");
    const first = new Host(dataDir, { limits: { killGraceMs: 60_000 } });
    await first.start(order);
    const pid = Number(await waitFor(async () => textOf(await first.lines(order))[0]));
    expect(await first.cancel(order)).toMatchObject({ phase: 'RUNNING' });
    await waitFor(() =>
      readFile(join(dataDir, 'journal', 'journal'), 'utf8').then((text) => text.includes('"killing"')),
    );
    await first.kill();
    const leader = identify(pid)!;
    expect(ledGroupIsAlive(leader)).toBe(true);
    const second = new Host(dataDir);
    expect(await second.ended(order)).toMatchObject({ phase: 'CANCELLED' });
    expect(ledGroupIsAlive(leader)).toBe(false);
  });

  test('keeps a time limit that began before', async () => {
    const dataDir = await tempDir();
    const order = orderOf('sleep 300', { payload: { timeLimitS: 2 } });
    const first = new Host(dataDir);
    const { startedAtMs } = await first.start(order);
    await first.kill();
    const end = await new Host(dataDir).ended(order);
    expect(end.phase).toBe('TIMED_OUT');
    expect(end.endedAtMs - startedAtMs).toBeLessThan(8_000);
  });

  test('does not start what nobody may want any more: a queued script whose envelope has expired', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const exclusive = { isolation: 'exclusive' };
    const holder = orderOf('sleep 300', { payload: exclusive });
    const first = new Host(dataDir);
    await first.start(holder);
    // The skew of five minutes that is allowed ends a moment from now.
    const expiresAtMs = Date.now() - 5 * 60_000 + 3_000;
    const queued = orderOf(witness.testify('queued'), { payload: exclusive, expiresAtMs });
    await first.start(queued);
    await first.kill();
    await waitFor(() => Date.now() > expiresAtMs + 5 * 60_000);
    const second = new Host(dataDir);
    expect(await second.ended(queued)).toMatchObject({ errorCode: 'ENVELOPE_EXPIRED', startedAtMs: 0 });
    await second.cancel(holder);
    await second.ended(holder);
    expect(await witness.starts()).toEqual(new Map());
  });

  test('and whose sealed payload was tampered with: the script goes on, and no line leaves', async () => {
    const dataDir = await tempDir();
    const latch = join(dataDir, 'latch');
    const secret = 'canary-secret-value';
    const body = `echo before; ${until(latch)}; echo "$SECRET"; exit 3`;
    const order = orderOf(body, { payload: { env: { SECRET: secret }, sensitiveValues: [secret] } });
    const first = new Host(dataDir);
    await first.start(order);
    await waitFor(async () => (await first.lines(order)).length === 1);
    await first.kill();
    await writeFile(join(dataDir, 'tickets', order.ticket, 'payload.sealed'), 'broken');
    const second = new Host(dataDir);
    await second.status(order);
    await writeFile(latch, '');
    expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
    const log = await second.lines(order);
    expect(textOf(log, 'stdout')).toEqual(['before']);
    expect(textOf(log, 'agent')[0]).toContain('MASK_UNREADABLE');
    expect(JSON.stringify(log)).not.toContain(secret);
  });
});

test('a supervisor that is slow to write down how a script ended, that was taken up, is waited for', async () => {
  const dataDir = await tempDir();
  const latch = join(dataDir, 'latch');
  const order = orderOf(`echo $PPID; echo $$; ${until(latch)}; exit 9`);
  const first = new Host(dataDir);
  await first.start(order);
  await waitFor(async () => (await first.lines(order)).length === 2);
  const [supervisor = 0, pid = 0] = textOf(await first.lines(order)).map(Number);
  await first.kill();
  const second = new Host(dataDir);
  await second.status(order);
  process.kill(supervisor, 'SIGSTOP');
  onTestFinished(() => {
    if (existsSync(`/proc/${supervisor}`)) process.kill(supervisor, 'SIGCONT');
  });
  // On a busy machine it may still reap a child that ends before it has stopped.
  await waitFor(async () => / T /.test(await readFile(`/proc/${supervisor}/stat`, 'latin1')));
  await writeFile(latch, '');
  await waitFor(async () => / Z /.test(await readFile(`/proc/${pid}/stat`, 'latin1')));
  // The end of another script is noticed by now, so this one's would be, too, if it needed no supervisor.
  const other = orderOf('sleep 0.2');
  await second.start(other);
  await second.ended(other);
  expect(await second.status(order)).toMatchObject({ phase: 'RUNNING' });
  process.kill(supervisor, 'SIGCONT');
  expect(await second.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 9 });
});

describe('killed at any moment', () => {
  const rounds = 8;

  test('each script starts at most once, and has one end and its log whole', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const orders = Array.from({ length: rounds }, () => {
      const ticket = newId();
      return orderOf(`${witness.testify(ticket)}; for i in 1 2 3 4 5; do echo "$i"; sleep 0.01; done; exit 6`, {
        ticket,
      });
    });
    for (const [round, order] of orders.entries()) {
      const host = new Host(dataDir);
      await host.status(order).catch(() => undefined);
      const started = host.start(order).catch((error: unknown) => {
        if (!(error instanceof HostDied)) throw error;
      });
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      await host.kill();
      await started;
    }
    const last = new Host(dataDir);
    for (const order of orders) {
      await last.start(order);
      expect(await last.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 6, lastLine: 5 });
      expect(textOf(await last.lines(order))).toEqual(['1', '2', '3', '4', '5']);
    }
    expect(await witness.starts()).toEqual(new Map(orders.map(({ ticket }) => [ticket, 1])));
  });

  test('the log of a script that never pauses is whole, masked, and each line in it once', async () => {
    const dataDir = await tempDir();
    const secret = 'canary-of-many-lines';
    const long = 'y'.repeat(70_000);
    const body = [
      `long=$(printf 'y%.0s' {1..70000})`,
      'for i in {1..6000}; do echo "line $i $SECRET"; (( i % 500 )) || echo "$long"; (( i % 50 )) || sleep 0.01; done',
      'exit 9',
    ].join('\n');
    const order = orderOf(body, { payload: { env: { SECRET: secret }, sensitiveValues: [secret] } });
    const expected = Array.from({ length: 6000 }, (_, index) => {
      const line = [`line ${index + 1} ********`];
      return (index + 1) % 500 === 0 ? [...line, long] : line;
    }).flat();
    for (let round = 0; round < 3; round += 1) {
      const host = new Host(dataDir);
      const { lastLine } = await host.start(order);
      await waitFor(async () => {
        const status = await host.status(order);
        return status.lastLine > lastLine + 100 || status.endedAtMs > 0;
      });
      await host.kill();
    }
    const last = new Host(dataDir);
    expect(await last.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 9 });
    expect(wholeLines(await last.lines(order))).toEqual(expected);
  });

  test('in the middle of a line that was shown in part: the rest follows, and nothing twice', async () => {
    const dataDir = await tempDir();
    const secret = 'canary-of-an-open-line';
    const latches = ['first', 'second', 'third'].map((name) => join(dataDir, name));
    const prints = ['printf "one $SECRET."', 'printf " two ${SECRET:0:7}"', 'printf "%s three" "${SECRET:7}"'];
    const body = prints.map((print, at) => `${print}; ${until(latches[at]!)}`).join('; ');
    const order = orderOf(`${body}; echo; exit 9`, { payload: { env: { SECRET: secret }, sensitiveValues: [secret] } });
    const shown = ['one ********.', ' two ', '******** three', ''];
    for (const [at, latch] of latches.entries()) {
      const host = new Host(dataDir);
      await host.start(order);
      const lines = await waitFor(async () => {
        const all = await host.lines(order);
        return all.length > at ? all : undefined;
      });
      expect(textOf(lines)).toEqual(shown.slice(0, at + 1));
      await host.kill();
      await writeFile(latch, '');
    }
    const last = new Host(dataDir);
    expect(await last.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 9, lastLine: 4 });
    expect(textOf(await last.lines(order))).toEqual(shown);
  });

  // One thread for files, so that the count of calls is the same in each run.
  const env = { UV_THREADPOOL_SIZE: '1' };

  test.skipIf(lacks('strace')).each([
    ['fdatasync', 5],
    ['vfork,clone3,clone', 3],
    ['fsync', 2],
  ])('at the nth %s', async (calls, times) => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const tickets: string[] = [];
    for (let nth = 1; nth <= times; nth += 1) {
      const ticket = newId();
      tickets.push(ticket);
      const order = orderOf(`${witness.testify(ticket)}; exit 8`, { ticket });
      const inject = `inject=${calls}:signal=KILL:when=${nth}`;
      const under = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject];
      const doomed = new Host(dataDir, { under, env });
      await doomed
        .start(order)
        .then(() => doomed.ended(order))
        .catch(() => undefined);
      await doomed.kill();
      const host = new Host(dataDir);
      await host.start(order);
      const end = await host.ended(order);
      expect([end.phase, end.exitCode]).toEqual(
        end.phase === 'INTERRUPTED' ? ['INTERRUPTED', undefined] : ['EXITED', 8],
      );
      await host.kill();
    }
    for (const ticket of tickets) expect((await witness.starts()).get(ticket) ?? 0).toBeLessThanOrEqual(1);
  });
});

describe('the disk under the journal', () => {
  test.skipIf(lacks('strace'))('no script is started before its start is on the disk', async () => {
    const dataDir = await tempDir();
    const witness = witnessIn(dataDir);
    const order = orderOf(witness.testify('unsynced'));
    // Every sync fails: the record of the start is not on the disk.
    const inject = 'inject=fdatasync:error=ENOSPC';
    const under = ['strace', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', inject];
    const host = new Host(dataDir, { under });
    await expect(host.start(order)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await expect(host.status(order)).rejects.toMatchObject({});
    await host.kill();
    const healthy = new Host(dataDir);
    await expect(healthy.status({ ...order, epoch: 1 })).rejects.toMatchObject({ code: 'TICKET_UNKNOWN' });
    expect(await witness.starts()).toEqual(new Map());
  });
});
