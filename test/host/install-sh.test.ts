// install.sh as an operator runs it, on trees of hand-made versions.
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, test } from 'vitest';
import { keyFingerprint } from '../../certs/release-keys.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { listFiles, makeTree } from './support/software.ts';

const repository = join(import.meta.dirname, '../..');
let folder: string;
let root: string;

beforeEach(async () => {
  folder = await tempDir();
  root = join(folder, 'host');
  mkdirSync(root);
});

/** A tree whose command runs the sources of this repository. */
function tree(version: string, options: Parameters<typeof makeTree>[2] = {}): string {
  const made = makeTree(join(folder, version), version, {
    ...options,
    files: {
      'bin/node': `#!/bin/sh\nexec ${process.execPath} "$@"\n`,
      'bin/isthmus': `#!/bin/sh\nexec ${process.execPath} ${join(repository, 'cli/main.ts')} "$@"\n`,
    },
  });
  copyFileSync(join(repository, 'install/install.sh'), join(made, 'install.sh'));
  for (const name of ['bin/node', 'bin/isthmus', 'install.sh']) chmodSync(join(made, name), 0o755);
  listFiles(made);
  return made;
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const installSh = (at: string, ...words: string[]): Promise<Ended> =>
  ended('sh', [join(at, 'install.sh'), '--root', root, ...words]);

async function ended(program: string, words: readonly string[]): Promise<Ended> {
  try {
    const done = await promisify(execFile)(program, words);
    return { exitCode: 0, ...done };
  } catch (thrown) {
    const { code, stdout, stderr } = thrown as { code: number; stdout: string; stderr: string };
    return { exitCode: code, stdout, stderr };
  }
}

const current = (): string => readlinkSync(join(root, 'opt/isthmus/current'));

test('installs, says what is next, installs another version, and goes back', async () => {
  const first = await installSh(tree('1.0.0'));
  expect(first).toMatchObject({ exitCode: 0, stderr: '' });
  expect(first.stdout).toMatch(/^isthmus 1\.0\.0 is the current version\n/);
  expect(first.stdout).toMatch(/no release key is trusted here[^]*isthmus host trust [^]*init [^]*token create/);
  const second = await installSh(tree('1.1.0'));
  expect(second.stdout).toMatch(/^isthmus 1\.1\.0 is the current version; before it was 1\.0\.0\n/);
  expect(second.stderr).toBe(`bringing 1.1.0 to ${root}/opt/isthmus\nswitching from 1.0.0 to 1.1.0\n`);
  const back = await installSh(join(root, 'opt/isthmus/current'), '--go-back');
  expect(back).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('this is a downgrade\n') as unknown });
  expect(current()).toBe('1.0.0');
});

test('with the data of an earlier installation, their services are next, and a downgrade is said to be one', async () => {
  for (const role of ['server', 'relay'])
    mkdirSync(join(root, 'var/lib/isthmus', role, 'identity'), { recursive: true });
  const { stdout } = await installSh(tree('1.1.0'));
  expect(stdout).toMatch(/service install --role server\n.*service install --role relay\n$/);
  expect(stdout).not.toContain('isthmus init');
  const { exitCode, stderr } = await installSh(tree('1.0.0'));
  expect(exitCode).toBe(0);
  expect(stderr).toMatch(/1\.0\.0 is lower than 1\.1\.0: this is a downgrade, .* ahead of their server/);
  expect(stderr).toContain('`isthmus mesh status`');
});

test.skipIf(lacks('shellcheck'))('what hosts run as root is sound for every POSIX shell', async () => {
  const scripts = [
    'install/install.sh',
    'bin/isthmus',
    ...['postinst', 'postrm', 'prerm'].map((name) => `install/debian/${name}`),
  ];
  await promisify(execFile)('shellcheck', ['--shell=sh', ...scripts], { cwd: repository });
});

describe('a release key', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const fingerprint = keyFingerprint(publicKey);
  const keys = (): string => join(root, 'etc/isthmus/release-keys');
  let file: string;
  beforeEach(() => {
    file = join(folder, 'isthmus-release.pub');
    writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
  });

  test('is trusted, and shown', async () => {
    const installed = await installSh(tree('1.0.0'), '--trust', file);
    expect(installed.exitCode).toBe(0);
    expect(installed.stderr).toContain(fingerprint);
    expect(existsSync(join(keys(), `${fingerprint}.pub`))).toBe(true);
    expect(installed.stdout).not.toContain('no release key');
    rmSync(keys(), { recursive: true });
    const later = await ended(join(folder, '1.0.0/bin/isthmus'), ['host', 'trust', file, '--root', root]);
    expect(later).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(fingerprint) as unknown });
    rmSync(keys(), { recursive: true });
    expect(await installSh(join(folder, '1.0.0'), '--trust', file)).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(keys(), `${fingerprint}.pub`))).toBe(true);
  });

  test.each([
    ['is damaged', {}, 'SOFTWARE_DAMAGED'],
    ['is for another architecture', { architecture: 'riscv64' }, 'SOFTWARE_ARCHITECTURE'],
  ])('is not trusted where the tree %s', async (_what, options, code) => {
    const wrong = tree('1.0.0', options);
    if (code === 'SOFTWARE_DAMAGED') writeFileSync(join(wrong, 'behaviour'), 'other');
    const { exitCode, stderr } = await ended(join(wrong, 'bin/isthmus'), [
      ...['host', 'install', wrong, '--trust', file, '--root', root],
    ]);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(`(${code})`);
    expect(stderr).not.toContain(fingerprint);
    expect(existsSync(keys())).toBe(false);
  });

  test('that is none leaves everything as it was', async () => {
    const made = tree('1.0.0');
    const secret = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    for (const [content, what] of [
      ['no key', 'is not a public key'],
      [secret, 'is a private key, which must not be here'],
    ] as const) {
      writeFileSync(file, content);
      const { exitCode, stderr } = await installSh(made, '--trust', file);
      expect({ exitCode, stderr }).toEqual({ exitCode: 9, stderr: expect.stringContaining(what) as unknown });
    }
    const folderGiven = await installSh(made, '--trust', '/etc');
    expect(folderGiven).toMatchObject({ exitCode: 9, stderr: expect.stringContaining('(CONFIG_INVALID)') as unknown });
    expect(existsSync(join(root, 'opt'))).toBe(false);
  });
});

test('the upgrader rests where nobody knows how the last change has ended', async () => {
  await installSh(tree('1.0.0'));
  writeFileSync(join(root, 'opt/isthmus/upgrade.json'), 'no journal');
  const { exitCode, stderr } = await ended(join(folder, '1.0.0/bin/isthmus'), ['host', 'upgrade', '--root', root]);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringMatching(/UNREADABLE\)\n$/) as unknown });
});

describe('uninstalling', () => {
  beforeEach(async () => {
    await installSh(tree('1.0.0'));
    mkdirSync(join(root, 'var/lib/isthmus/relay'), { recursive: true });
    mkdirSync(join(root, 'etc/systemd/system'), { recursive: true });
    const unit = 'etc/systemd/system/isthmus-relay.service';
    symlinkSync('/opt/isthmus/current/systemd/isthmus-relay.service', join(root, unit));
  });
  const installed = ['opt/isthmus', 'usr/local/bin/isthmus', 'etc/systemd/system/isthmus-relay.service'];
  const left = (names: readonly string[]): string[] => names.filter((name) => isThere(join(root, name)));

  test('asks, and does nothing where nobody can answer', async () => {
    const { exitCode, stderr } = await installSh(join(root, 'opt/isthmus/current'), '--uninstall');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('CONFIRMATION_NEEDED');
    expect(left(installed)).toEqual(installed);
  });

  test('leaves the data, and is done again without harm', async () => {
    const again = tree('1.1.0');
    expect(await installSh(join(root, 'opt/isthmus/current'), '--uninstall', '--yes')).toMatchObject({ exitCode: 0 });
    expect(left([...installed, 'var/lib/isthmus/relay'])).toEqual(['var/lib/isthmus/relay']);
    expect(await installSh(again, '--uninstall', '--yes')).toMatchObject({ exitCode: 0 });
  });

  test('deletes the data when it is told to, and no command that is not ours', async () => {
    rmSync(join(root, 'usr/local/bin/isthmus'));
    writeFileSync(join(root, 'usr/local/bin/isthmus'), 'another');
    const words = ['--uninstall', '--delete-data', '--yes'];
    const { exitCode, stdout } = await installSh(join(root, 'opt/isthmus/current'), ...words);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringContaining('~/.config/isthmus') as unknown,
    });
    expect(left([...installed, 'var/lib/isthmus', 'etc/isthmus'])).toEqual(['usr/local/bin/isthmus']);
  });
});

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

describe('says what is wrong, and installs nothing, when', () => {
  test('a file of the tree is damaged', async () => {
    const damaged = tree('1.0.0');
    writeFileSync(join(damaged, 'behaviour'), 'other');
    const { exitCode, stderr } = await installSh(damaged);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 9,
      stderr: expect.stringMatching(/not as it was built: behaviour: FAILED \(SOFTWARE_DAMAGED\)/) as unknown,
    });
    expect(existsSync(join(root, 'opt'))).toBe(false);
  });

  test('the tree is for another architecture', async () => {
    const { exitCode, stderr } = await installSh(tree('1.0.0', { architecture: 'riscv64' }));
    expect(exitCode).toBe(9);
    expect(stderr).toContain('(SOFTWARE_ARCHITECTURE)');
  });

  test('the machine cannot run its Node.js', async () => {
    const foreign = tree('1.0.0');
    writeFileSync(join(foreign, 'bin/node'), 'no program');
    listFiles(foreign);
    const { exitCode, stderr } = await installSh(foreign);
    expect(exitCode).toBe(9);
    expect(stderr).toContain('glibc');
  });

  test.each([
    [['--wrong']],
    [['--trust']],
    [['--trust', '']],
    [['--go-back', '--yes']],
    [['--uninstall', '--trust', 'file']],
  ])('it is given %j', async (words) => {
    const { exitCode, stderr } = await installSh(tree('1.0.0'), ...words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('usage: install.sh');
  });
});
