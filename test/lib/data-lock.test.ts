// A data folder belongs to one process, however many start at once; a killed one frees it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { lockDataDir } from '../../lib/files/data-lock.ts';
import { tempDir } from '../support/temp.ts';

/** A process that locks and unlocks on command. */
async function locker() {
  const child = spawn(process.execPath, [fileURLToPath(new URL('data-locker.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  onTestFinished(kill);
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => String((await answers.next()).value);
  expect(await next()).toBe('ready');
  const tell = (line: string): Promise<string> => {
    child.stdin.write(`${line}\n`);
    return next();
  };
  return { pid: child.pid, kill, tell };
}

it('of two processes that start at once one gets the lock, twenty times, also after a kill', async () => {
  const [one, two, victim] = await Promise.all([locker(), locker(), locker()]);
  const folder = await tempDir();
  expect(await victim.tell(folder)).toBe('taken');
  expect(await one.tell(folder)).toBe(`DATA_DIR_LOCKED ${folder} is in use by process ${victim.pid}`);
  await victim.kill();
  for (let round = 0; round < 20; round += 1) {
    const answers = await Promise.all([one.tell(folder), two.tell(folder)]);
    expect(
      answers.filter((answer) => answer === 'taken'),
      answers.join(', '),
    ).toHaveLength(1);
    expect(answers.filter((answer) => answer.startsWith('DATA_DIR_LOCKED'))).toHaveLength(1);
    await Promise.all([one.tell('unlock'), two.tell('unlock')]);
  }
});

it('the same process can lock a folder only once', async () => {
  const folder = await tempDir();
  const lock = lockDataDir(folder);
  expect(() => lockDataDir(folder)).toThrow(`in use by process ${process.pid}`);
  lock.unlock();
  lock.unlock();
  lockDataDir(folder).unlock();
});

it('no other user may read the file, and so lock it; an existing file is closed to them', async () => {
  const folder = await tempDir();
  const modeOf = async (name: string) => (await stat(join(folder, name))).mode & 0o777;
  await writeFile(join(folder, 'data.lock'), '', { mode: 0o644 });
  const lock = lockDataDir(folder);
  expect([await modeOf('data.lock'), await modeOf('data.pid')]).toEqual([0o600, 0o600]);
  lock.unlock();
  await rm(join(folder, 'data.lock'));
  lockDataDir(folder).unlock();
  expect(await modeOf('data.lock')).toBe(0o600);
});

it('a missing folder is rejected', async () => {
  const folder = join(await tempDir(), 'missing');
  expect(() => lockDataDir(folder)).toThrow('cannot be locked');
});
