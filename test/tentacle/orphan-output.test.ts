// Processes that a script leaves behind when it ends: they may live on, but must not fill the disk by printing.
import { existsSync } from 'node:fs';
import { readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../support/wait.ts';
import { ended, freshEngine, logOf, openEngine, orderOf, textOf } from './support.ts';

const mebibyte = 1024 * 1024;

/** The pid of a process that a script left behind, read from a file; the process is killed at the end of the test. */
async function leftBehind(pidFile: string): Promise<number> {
  const pid = await waitFor(async () => Number(await readFile(pidFile, 'utf8')) || false);
  onTestFinished(() => {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGKILL');
  });
  return pid;
}

describe('a process that outlives its script', () => {
  test('and finishes what the script said, as tee does, is heard to its end', async () => {
    const { engine } = await freshEngine();
    const order = orderOf('exec > >(sleep 0.3; cat; echo last); echo said; exit 3');
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 3 });
    expect(textOf(await logOf(engine, order))).toEqual(['said', 'last']);
  });

  test('with output of its own lives on, and the script ends without a word about it', async () => {
    const { engine, dataDir } = await freshEngine();
    const order = orderOf(`nohup sleep 300 > /dev/null 2>&1 & echo $! > '${dataDir}/pid'; echo up`);
    await engine.start(order);
    const pid = await leftBehind(join(dataDir, 'pid'));
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect(textOf(await logOf(engine, order))).toEqual(['up']);
    await engine.complete(order);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });

  test('in a session of its own sees nothing of the next script', async () => {
    const { engine, dataDir } = await freshEngine();
    const until = (file: string) => `until [ -e '${dataDir}/${file}' ]; do sleep 0.02; done`;
    const look = `exec 3< ../body; echo $$ > '${dataDir}/pid'; ${until('latch')}; { ls; cat <&3; } > '${dataDir}/seen'; echo > '${dataDir}/looked'`;
    await writeFile(join(dataDir, 'left.sh'), look);
    const first = orderOf(`setsid bash '${dataDir}/left.sh' > /dev/null 2>&1 & ${until('pid')} # the first`);
    await engine.start(first);
    await leftBehind(join(dataDir, 'pid'));
    await ended(engine, first);
    await engine.complete(first);

    const next = orderOf(`echo > note; echo > '${dataDir}/latch'; ${until('looked')} # the next`);
    await engine.start(next);
    expect(await ended(engine, next)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    const seen = await readFile(join(dataDir, 'seen'), 'utf8');
    expect(seen).toContain('the first');
    expect(seen).not.toMatch(/note|the next/);
  });

  test('and prints on and on: the word about it is the last line', async () => {
    const { engine, dataDir } = await freshEngine();
    const order = orderOf(`(echo $BASHPID > '${dataDir}/pid'; while echo tick; do sleep 0.001; done) & sleep 0.2`);
    await engine.start(order);
    await leftBehind(join(dataDir, 'pid'));
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    const lines = await logOf(engine, order);
    expect(textOf(lines).length).toBeGreaterThan(10);
    expect(lines.findIndex(({ stream }) => stream === 'agent')).toBe(lines.length - 1);
  });

  /** Prints a MiB again and again, and counts, until the file `latch` exists; then sleeps. */
  const chatty = (dataDir: string): string =>
    `block=$(head -c ${mebibyte} /dev/zero | tr '\\0' x); n=0;
    while [ ! -e '${dataDir}/latch' ]; do echo "$block"; n=$((n + 1)); echo $n > '${dataDir}/count'; sleep 0.05; done; exec sleep 300`;

  test.each([
    ['in its group', '', false],
    ['in a session of its own', 'setsid ', false],
    ['over a restart of the agent', 'setsid ', true],
  ])('with the output of the script open, %s: lives on, and the disk does not fill', async (_where, how, restart) => {
    const { engine, dataDir, close } = await freshEngine();
    await writeFile(join(dataDir, 'left.sh'), chatty(dataDir));
    const order = orderOf(`${how}bash '${dataDir}/left.sh' & echo $! > '${dataDir}/pid'; echo up`);
    await engine.start(order);
    const pid = await leftBehind(join(dataDir, 'pid'));
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    const notes = textOf(await logOf(engine, order), 'agent');
    expect(notes).toEqual(
      how === '' ? [expect.stringMatching(`left .* behind that holds? its output [(]${pid}[,)]`)] : [],
    );
    await engine.complete(order);
    if (restart) {
      await close();
      const again = await openEngine(dataDir);
      onTestFinished(again.close);
    }
    const printed = async (): Promise<number> => Number(await readFile(join(dataDir, 'count'), 'utf8'));
    const before = await waitFor(printed);
    await waitFor(async () => (await printed()) > before + 20, { limitMs: 30_000, what: 'twenty MiB more' });
    await writeFile(join(dataDir, 'latch'), '');
    // Until then its shell redirects its output from time to time.
    await waitFor(async () => (await readFile(`/proc/${pid}/comm`, 'utf8')) === 'sleep\n');
    const output = `/proc/${pid}/fd/1`;
    expect(await readlink(output)).toContain('deleted');
    await waitFor(async () => (await stat(output)).blocks * 512 < 2 * mebibyte, {
      limitMs: 30_000,
      what: 'the truncation of its output',
    });
    expect(existsSync(`/proc/${pid}`)).toBe(true);
  });
});
