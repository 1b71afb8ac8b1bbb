// Files of a script that are hard or impossible to remove: its ticket is completed all the same, and the tentacle can
// start again.
import { execFileSync } from 'node:child_process';
import { chownSync } from 'node:fs';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { heardLog } from '../support/heard-log.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { Host, type HostOptions } from './host-client.ts';
import { ended, logOf, openEngine, orderOf, textOf } from './support.ts';

/** The user nobody: as in the container image and in the systemd unit, the tentacle is not root. */
const user = 65_534;
const asUser = ['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--'];

function hostOfUser(dataDir: string, options: HostOptions = {}): Host {
  return new Host(dataDir, { ...options, under: asUser });
}

async function folderOfUser(): Promise<string> {
  const folder = await tempDir();
  chownSync(folder, user, user);
  return folder;
}

/** The paths of everything in the workspaces, also of undeletable files. */
async function leftIn(dataDir: string): Promise<string[]> {
  const all = await Promise.all(
    ['tickets', 'undeletable'].map(async (folder) => {
      const paths = await readdir(join(dataDir, folder), { recursive: true });
      return paths.map((path) => join(folder, path));
    }),
  );
  return all.flat();
}

describe.skipIf(lacks('root'))('a tentacle that is not root', () => {
  test('removes folders that its script made unwritable, or closed', async () => {
    const dataDir = await folderOfUser();
    const host = hostOfUser(dataDir);
    const order = orderOf('mkdir -p go/mod shut; touch go/mod/f shut/f; chmod -R a-w go; chmod 0 shut; id -u');
    await host.start(order);
    expect(await host.ended(order)).toMatchObject({ phase: 'EXITED', exitCode: 0 });
    expect((await host.lines(order)).map(({ text }) => text)).toEqual([String(user)]);
    await host.complete(order);
    expect(await leftIn(dataDir)).toEqual([]);
  });

  test('removes what is left of those when it starts again', async () => {
    const dataDir = await folderOfUser();
    const host = hostOfUser(dataDir);
    const order = orderOf('mkdir mod; touch mod/f; chmod 555 mod . ..');
    await host.start(order);
    await host.ended(order);
    await host.kill();
    // As after a crash during the completion, which is not synced.
    execFileSync('cp', ['-a', join(dataDir, 'tickets', order.ticket), join(dataDir, 'tickets', 'completed-before')]);
    const again = hostOfUser(dataDir);
    expect(await again.status(order)).toMatchObject({ phase: 'EXITED' });
    await waitFor(async () => (await leftIn(dataDir)).every((path) => path.startsWith(`tickets/${order.ticket}`)), {
      what: 'what belongs to no ticket to go',
    });
    await again.complete(order);
    expect(await leftIn(dataDir)).toEqual([]);
  });

  test('completes what it cannot remove, keeps nothing else of it, starts again, and removes it when it can', async () => {
    const dataDir = await folderOfUser();
    const host = hostOfUser(dataDir, { limits: { mostOpen: 1 } });
    const latch = join(dataDir, 'latch');
    const deep = Array.from({ length: 30 }, () => 'd').join('/');
    const order = orderOf(
      `mkdir -p a z ${deep}; touch a/f z/f; echo made; until [ -e '${latch}' ]; do sleep 0.05; done`,
    );
    await host.start(order);
    await waitFor(async () => (await host.lines(order)).length > 0);
    // As the script could with sudo.
    const work = join(dataDir, 'tickets', order.ticket, 'work');
    await mkdir(join(work, deep, 'of-root'));
    await writeFile(join(work, deep, 'of-root', 'file'), '');
    await writeFile(latch, '');
    await host.ended(order);

    const tombstone = await host.complete(order);
    expect(tombstone).toMatchObject({ phase: 'COMPLETED', exitCode: 0 });
    const left = await leftIn(dataDir);
    expect(left.filter((path) => !path.startsWith('undeletable/'))).toEqual([]);
    expect(left.filter((path) => !/\/(work|d|of-root|file)$/.test(path))).toEqual([
      expect.stringMatching(`^undeletable/${order.ticket}\\.[0-9a-f]+$`),
    ]);
    expect(left.some((path) => path.endsWith('of-root/file'))).toBe(true);
    expect((await stat(join(dataDir, 'undeletable'))).mode & 0o777).toBe(0o700);
    expect(await host.complete(order)).toEqual(tombstone);
    const next = orderOf('echo next');
    await host.start(next);
    expect(await host.ended(next)).toMatchObject({ exitCode: 0 });

    await host.kill();
    const again = hostOfUser(dataDir);
    expect(await again.complete(order)).toEqual(tombstone);
    expect((await leftIn(dataDir)).some((path) => path.endsWith('of-root/file'))).toBe(true);
    await again.kill();

    execFileSync('chown', ['-R', String(user), join(dataDir, 'undeletable')]);
    const last = hostOfUser(dataDir);
    await last.status(order);
    await waitFor(async () => (await readdir(join(dataDir, 'undeletable'))).length === 0, {
      what: 'the undeletable files to be removed',
    });
  });

  test('gives the next script a working folder that it can write in', async () => {
    const host = hostOfUser(await folderOfUser());
    const first = orderOf('chmod 555 .');
    await host.start(first);
    await host.ended(first);
    await host.complete(first);
    const second = orderOf('touch mine');
    await host.start(second);
    expect(await host.ended(second)).toMatchObject({ exitCode: 0 });
  });
});

test.skipIf(lacks('root'))('a mount that a script left is told in the log, and the tentacle starts again', async () => {
  const dataDir = await tempDir();
  const { log, lines } = heardLog();
  const first = await openEngine(dataDir, { log });
  const order = orderOf('mkdir m; mount -t tmpfs -o size=64k tmpfs m; echo mounted');
  onTestFinished(() => void execFileSync('sh', ['-c', 'umount -l "$0"/[tu]*/*/*/m', dataDir]));
  await first.engine.start(order);
  await ended(first.engine, order);
  expect(textOf(await logOf(first.engine, order))).toEqual(['mounted']);
  expect(await first.engine.complete(order)).toMatchObject({ exitCode: 0 });
  const warnings = (): string[] => lines.filter(({ level }) => level === 'warn').map(({ msg }) => msg);
  expect(warnings()).toEqual(['a script left files that cannot be removed; remove them by hand']);
  await first.close();
  const again = await openEngine(dataDir, { log });
  onTestFinished(again.close);
  await waitFor(() => warnings().includes('scripts left files that cannot be removed; remove them by hand'));
  expect(await again.engine.complete(order)).toMatchObject({ exitCode: 0 });
});

test('while a large workspace is removed its ticket is completed for everybody', async () => {
  const { engine, close } = await openEngine(await tempDir());
  onTestFinished(close);
  const order = orderOf('touch $(seq 1000)');
  await engine.start(order);
  await ended(engine, order);
  let removed = false;
  const first = engine.complete(order).finally(() => (removed = true));
  const tombstone = await engine.complete(order);
  await expect(engine.log(order)).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
  await expect(engine.start(order)).rejects.toMatchObject({ code: 'TICKET_ALREADY_USED' });
  expect(removed).toBe(false);
  expect(await first).toEqual(tombstone);
});
