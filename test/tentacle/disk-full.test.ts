// A tentacle whose disk is full: no script starts, and no output of a running one is lost silently.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { ended, logOf, openEngine, orderOf, textOf, witnessIn } from './support.ts';

/** A disk of 8 MiB. */
async function smallDisk(): Promise<string> {
  return mountSmallDisk(await tempDir());
}

function mountSmallDisk(path: string): string {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path]);
  onTestFinished(() => {
    execFileSync('umount', ['--lazy', path]);
  });
  return path;
}

/** Fills the disk to its last byte; returns how to free it again. */
async function fill(disk: string): Promise<() => Promise<void>> {
  const path = join(disk, 'filler');
  await writeFile(path, Buffer.alloc(9 * 1024 * 1024)).catch(() => undefined);
  expect((await statfs(disk)).bavail).toBe(0);
  return () => rm(path);
}

describe.skipIf(lacks('root', 'linux'))('a full disk', () => {
  test('no script is started on it, and nothing of the ticket stays', async () => {
    const disk = await smallDisk();
    const elsewhere = await tempDir();
    const witness = witnessIn(elsewhere);
    const { engine, journal, close } = await openEngine(disk, { limits: { keepFreeBytes: 1024 * 1024 } });
    onTestFinished(close);
    const order = orderOf(witness.testify('full'));
    const free = await fill(disk);
    await expect(engine.start(order)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(journal.ticket(order.ticket)).toBeUndefined();
    expect(await readdir(join(disk, 'tickets'))).toEqual([]);
    expect(await witness.starts()).toEqual(new Map());
    await free();
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect(await witness.starts()).toEqual(new Map([['full', 1]]));
  });

  test.each(['journal', 'tickets'])('also when only that of %s is full', async (folder) => {
    const dataDir = await tempDir();
    const disk = join(dataDir, folder);
    await mkdir(disk);
    mountSmallDisk(disk);
    const witness = witnessIn(dataDir);
    const { engine, journal, close } = await openEngine(dataDir, { limits: { keepFreeBytes: 0 } });
    onTestFinished(close);
    const order = orderOf(witness.testify('full'));
    const free = await fill(disk);
    await expect(engine.start(order)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(journal.ticket(order.ticket)).toBeUndefined();
    await free();
    expect(await readdir(join(dataDir, 'tickets'))).toEqual([]);
    expect(await witness.starts()).toEqual(new Map());
    await engine.start(order);
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect(await witness.starts()).toEqual(new Map([['full', 1]]));
  });

  test('a script that runs goes on, keeps its exit code, and its log says where lines may be missing', async () => {
    const disk = await smallDisk();
    const elsewhere = await tempDir();
    const latch = join(elsewhere, 'latch');
    const { engine, close } = await openEngine(disk, { limits: { keepFreeBytes: 1024 * 1024 } });
    onTestFinished(close);
    const failed = join(elsewhere, 'failed');
    const padding = 'x'.repeat(2000);
    const order = orderOf(
      `echo before; until [ -e '${latch}' ]; do echo ${padding} || printf x >> '${failed}'; sleep 0.01; done 2> /dev/null
      echo after; exit 12`,
    );
    await engine.start(order);
    await waitFor(async () => textOf(await logOf(engine, order)).includes('before'));
    const free = await fill(disk);
    const before = (await engine.status(order)).lastLine;
    // The pump looks at the disk four times a second: a hundred failed writes, with a pause after each, outlast that.
    await waitFor(async () => (await readFile(failed, 'utf8')).length >= 100, { what: 'writes that fail' });
    await free();
    await waitFor(async () => (await engine.status(order)).lastLine > before + 20);
    await writeFile(latch, '');
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 12 });
    const lines = await logOf(engine, order);
    expect(textOf(lines, 'agent').filter((line) => line.startsWith('DISK_FULL'))).toHaveLength(1);
    const stdout = textOf(lines, 'stdout');
    expect(stdout[0]).toBe('before');
    expect(stdout.at(-1)).toBe('after');
  });

  test('a script that ends on it is told of when there is room again', async () => {
    const disk = await smallDisk();
    const elsewhere = await tempDir();
    const latch = join(elsewhere, 'latch');
    const { engine, close } = await openEngine(disk, { limits: { keepFreeBytes: 1024 * 1024 } });
    onTestFinished(close);
    const pidFile = join(elsewhere, 'pid');
    const order = orderOf(`echo $$ > '${pidFile}'; until [ -e '${latch}' ]; do sleep 0.02; done; exit 13`);
    await engine.start(order);
    const pid = await waitFor(async () => Number(await readFile(pidFile, 'utf8')));
    const free = await fill(disk);
    await writeFile(latch, '');
    await waitFor(() => !existsSync(`/proc/${pid}`), { what: 'the end of the script' });
    await free();
    expect(await ended(engine, order)).toMatchObject({ phase: 'EXITED', exitCode: 13 });
  });
});
