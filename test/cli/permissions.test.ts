// Modes, owners and links of keys and data folders: a component does not start on what others can change or read, says
// which file it is and how to mend it, and leaves everything as it was.
import { execFileSync } from 'node:child_process';
import { chmod, chown, link, lstat, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeContext } from '../../cli/client/context.ts';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { checkDataDir } from '../../lib/files/private.ts';
import { openMasterKey } from '../../lib/secrets/seal.ts';
import { OWN_ENTRIES } from '../../tentacle/data-folder.ts';
import { initialise } from '../../server/operations/initialise.ts';
import { createTestMesh } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

type Role = 'server' | 'relay' | 'mirror' | 'tentacle';

/** A data folder as it is after `init` or `join` and a first start, as far as the check looks. */
async function dataFolder(role: Role): Promise<string> {
  const data = join(await tempDir(), role);
  if (role === 'server') {
    await initialise({ dataDir: data, meshListen: '127.0.0.1:0', apiListen: '127.0.0.1:0' });
    return data;
  }
  const mesh = await createTestMesh();
  await mkdir(data, { mode: 0o700 });
  writeIdentity(identityFolder(data), await mesh.identity('eu-1', role, { site: 'eu' }));
  await writeFile(join(data, 'config.yaml'), 'parents:\n  - node: server-1\n    address: 127.0.0.1:1\n');
  if (role === 'relay') return data;
  await mkdir(join(data, 'packages'), { mode: 0o700 });
  if (role === 'mirror') return data;
  for (const folder of ['journal', 'tickets', 'spare', 'undeletable', 'applications']) await mkdir(join(data, folder));
  for (const file of ['seal.key', 'packages/stamp.key', 'journal/journal', 'data.lock']) {
    await writeFile(join(data, file), Buffer.alloc(file.endsWith('.key') ? 32 : 0), { mode: 0o600 });
  }
  return data;
}

/** The start, or another command, must be rejected for this path; returns the command that mends it. */
async function expectUnsafe(
  role: Role,
  data: string,
  path: string,
  command: readonly string[] = [role, 'start', '--data', data],
): Promise<string | undefined> {
  const { code, err } = await isthmus(command);
  expect(err).toContain('PERMISSIONS_UNSAFE');
  expect(err).toContain(path);
  expect(code).toBe(9);
  return /`((?:chmod|chown) [^`]*)`/.exec(err)?.[1];
}

const secrets: readonly (readonly [Role, string])[] = [
  ['server', 'master.key'],
  ['server', 'admin.key'],
  ['server', 'isthmus.db'],
  ['server', 'authority/authority.key.sealed'],
  ['server', 'identity/node.json'],
  ['relay', 'identity/node.json'],
  ['mirror', 'identity/node.json'],
  ['tentacle', 'identity/node.json'],
  ['tentacle', 'seal.key'],
  ['tentacle', 'packages/stamp.key'],
];

describe.each(secrets)('the %s and its %s', (role, name) => {
  it('is named with the chmod that mends it, where others can read or change it', async () => {
    const data = await dataFolder(role);
    const path = join(data, name);
    for (const mode of [0o644, 0o640, 0o660]) {
      await chmod(path, mode);
      const mends = await expectUnsafe(role, data, path);
      expect((await lstat(path)).mode & 0o777).toBe(mode);
      execFileSync('/bin/sh', ['-c', mends!]);
      expect((await lstat(path)).mode & 0o777).toBe(0o600);
    }
    checkDataDir(data, [name]);
  });

  it.skipIf(lacks('root'))('is named with the chown that mends it, where another user owns it', async () => {
    const data = await dataFolder(role);
    const path = join(data, name);
    await chown(path, 12_345, 12_345);
    execFileSync('/bin/sh', ['-c', (await expectUnsafe(role, data, path))!]);
    expect((await lstat(path)).uid).toBe(0);
    checkDataDir(data, [name]);
  });
});

const folders: readonly (readonly [Role, string])[] = [
  ['server', ''],
  ['server', 'authority'],
  ['relay', ''],
  ['mirror', 'packages'],
  ['tentacle', ''],
  ['tentacle', 'journal'],
  ['tentacle', 'config.yaml'],
];

it.each(folders)('a %s does not start where others can change "%s"', async (role, name) => {
  const data = await dataFolder(role);
  for (const mode of [0o777, 0o770, 0o757]) {
    const path = join(data, name);
    await chmod(path, mode);
    execFileSync('/bin/sh', ['-c', (await expectUnsafe(role, data, path))!]);
    checkDataDir(data);
  }
});

const BLOB = `packages/blobs/ab/ab${'0'.repeat(62)}`;
const INSTALLATION = 'applications/shop/prod/web';
const deeper: readonly (readonly [Role, string])[] = [
  ['server', BLOB],
  ['mirror', BLOB],
  ['mirror', 'packages/partial'],
  ['tentacle', BLOB],
  ['tentacle', 'tickets/x'],
  ['tentacle', `${INSTALLATION}/releases/1.json`],
  ['tentacle', `${INSTALLATION}/.private`],
  ['tentacle', `${INSTALLATION}/installed-to.json`],
];

/** Creates an entry and what is above it; returns the paths of those below the first level. */
async function createEntry(data: string, name: string): Promise<string[]> {
  const parts = name.split('/');
  const paths = parts.map((_, index) => join(data, ...parts.slice(0, index + 1)));
  const isFile = /json$|ab0/.test(name);
  await mkdir(isFile ? dirname(paths.at(-1)!) : paths.at(-1)!, { recursive: true, mode: 0o755 });
  if (isFile) await writeFile(paths.at(-1)!, '', { mode: 0o600 });
  return paths.slice(1);
}

it.each(deeper)('a %s does not start where others can change a level of %s', async (role, name) => {
  const data = await dataFolder(role);
  const path = (await createEntry(data, name)).at(-1)!;
  await chmod(path, 0o757);
  execFileSync('/bin/sh', ['-c', (await expectUnsafe(role, data, path))!]);
  const check = () => {
    checkDataDir(data, [], { deeper: OWN_ENTRIES });
  };
  check();
  if (role !== 'tentacle') return;
  for (const level of await createEntry(data, name)) {
    await chmod(level, 0o770);
    expect(check).toThrow(`${level} has mode 0770: others can change it`);
    await chmod(level, 0o700);
    const elsewhere = join(await tempDir(), 'target');
    await rename(level, elsewhere);
    await symlink(elsewhere, level);
    expect(check).toThrow(`${level} is a symbolic link`);
    await rm(level);
    await rename(elsewhere, level);
  }
});

it.skipIf(lacks('root'))('each level belongs to the account that runs the tentacle, or to root', async () => {
  const data = await dataFolder('tentacle');
  for (const [, name] of deeper) {
    for (const level of await createEntry(data, name)) {
      await chown(level, 12_345, 12_345);
      expect(() => checkDataDir(data, [], { deeper: OWN_ENTRIES })).toThrow(`${level} belongs to another user`);
      await chown(level, 0, 0);
    }
  }
});

it.each(['relay', 'tentacle'] as const)(
  'a %s does not start below a folder that everybody can change',
  async (role) => {
    const data = await dataFolder(role);
    const above = dirname(data);
    await chmod(above, 0o777);
    execFileSync('/bin/sh', ['-c', (await expectUnsafe(role, data, above))!]);
    checkDataDir(data);
    // There, only the owner of a folder can move it.
    await chmod(above, 0o1777);
    checkDataDir(data);
  },
);

it('initialises nothing below a folder that everybody can change', async () => {
  const above = await tempDir();
  await chmod(above, 0o777);
  await expectUnsafe('server', above, above, ['init', '--data', join(above, 'server')]);
  expect(await readdir(above)).toEqual([]);
});

const linked: readonly (readonly [Role, string])[] = [
  ['server', 'isthmus.db'],
  ['server', 'identity/node.json'],
  ['relay', 'identity'],
  ['mirror', 'packages'],
  ['tentacle', 'journal'],
  ['tentacle', 'journal/journal'],
  ['tentacle', 'tickets'],
  ['tentacle', 'spare'],
  ['tentacle', 'undeletable'],
  ['tentacle', 'applications'],
  ['tentacle', 'packages/stamp.key'],
  ['tentacle', 'data.lock'],
];

it.each(linked)('a %s follows no link at %s, and what it points to stays as it was', async (role, name) => {
  const data = await dataFolder(role);
  const path = join(data, name);
  const elsewhere = join(await tempDir(), 'target');
  await rename(path, elsewhere);
  await symlink(elsewhere, path);
  const isFolder = (await lstat(elsewhere)).isDirectory();
  const precious = isFolder ? join(elsewhere, 'precious') : elsewhere;
  if (isFolder) await writeFile(precious, 'precious');
  const before = await readFile(precious);
  expect(await expectUnsafe(role, data, path)).toBeUndefined();
  expect(await readFile(precious)).toEqual(before);
});

const others: readonly (readonly [Role, string, (data: string) => string[]])[] = [
  ['server', 'key create', (data) => ['--data', data, '--name', 'me', '--role', 'admin']],
  ['server', 'backup', (data) => ['--data', data, '--to', `${data}.backup`, '--passphrase-file', `${data}.pass`]],
  ['server', 'cert show', (data) => ['--data', data]],
  ['tentacle', 'cert authority', (data) => ['--data', data]],
];

it.each(others)("a %s's folder is checked by `%s`, too, before anything changes in it", async (role, name, options) => {
  const data = await dataFolder(role);
  await writeFile(`${data}.pass`, 'correct horse battery staple\n');
  const before = await readdir(data);
  const command = [...name.split(' '), ...options(data)];
  for (const unsafe of ['', 'identity/node.json']) {
    const path = join(data, unsafe);
    await chmod(path, unsafe === '' ? 0o777 : 0o640);
    execFileSync('/bin/sh', ['-c', (await expectUnsafe(role, data, path, command))!]);
    expect(await readdir(data)).toEqual(before);
  }
  expect((await isthmus(command)).code).toBe(0);
});

it.skipIf(lacks('root'))("root makes a key in a server's folder that is all another account's", async () => {
  const data = await dataFolder('server');
  const command = ['key', 'create', '--data', data, '--name', 'me', '--role', 'admin'];
  execFileSync('chown', ['-R', '12345:12345', data]);
  // That account can reach its folder.
  await chmod(dirname(data), 0o711);
  expect((await isthmus(command)).code).toBe(0);
  await chown(join(data, 'master.key'), 54_321, 0);
  await expectUnsafe('server', data, join(data, 'master.key'), command);
  await expectUnsafe('server', data, data);
});

it("the key of a context is the user's alone", async () => {
  const folder = await tempDir();
  const [context, key] = [join(folder, 'context.json'), join(folder, 'context.key')];
  await writeContext(context, { server: 'https://127.0.0.1:1', authorityPem: '', apiKey: 'isk_a_b' });
  const command = ['--context', context, 'node', 'list'];
  await chmod(key, 0o644);
  execFileSync('/bin/sh', ['-c', (await expectUnsafe('server', folder, key, command))!]);
  expect((await isthmus(command)).err).not.toContain('PERMISSIONS_UNSAFE');
});

it.each(['data.lock', 'journal/journal', 'seal.key'])('follows no hard link and no pipe at %s', async (name) => {
  const data = await dataFolder('tentacle');
  const path = join(data, name);
  await link(path, join(dirname(data), 'second-name'));
  await expectUnsafe('tentacle', data, path);
  await rm(path);
  execFileSync('mkfifo', ['-m', '600', path]);
  await expectUnsafe('tentacle', data, path);
});

describe('what passes', () => {
  it.each([0o700, 0o711, 0o755])('a data folder with mode %o, and readable applications', async (mode) => {
    const data = await dataFolder('tentacle');
    await chmod(data, mode);
    await chmod(join(data, 'applications'), 0o755);
    checkDataDir(data, ['seal.key']);
  });

  it('what scripts and packages have in a folder of their own, and a package with two names', async () => {
    const data = await dataFolder('tentacle');
    for (const name of [
      join('tickets/x', 'work', '1'),
      'undeletable/y/1',
      'spare/1/1',
      `${INSTALLATION}/releases/1/1`,
    ]) {
      const path = join(data, name);
      await mkdir(path, { recursive: true });
      for (const folder of [path, dirname(path)]) await chmod(folder, folder.endsWith('tickets/x') ? 0o711 : 0o777);
      await symlink('/etc', join(path, 'link'));
    }
    for (const link of ['current', 'previous']) await symlink('releases/1', join(data, INSTALLATION, link));
    await createEntry(data, BLOB);
    await link(join(data, BLOB), join(data, `${BLOB}-second`));
    checkDataDir(data, [], { deeper: OWN_ENTRIES });
  });

  it('a link to the data folder, and settings that are a link', async () => {
    const data = await dataFolder('relay');
    const folder = dirname(data);
    await rename(join(data, 'config.yaml'), join(folder, 'settings'));
    await symlink('../settings', join(data, 'config.yaml'));
    await symlink(data, join(folder, 'linked'));
    checkDataDir(join(folder, 'linked'));
  });
});

it('joins no folder that others can change', async () => {
  const data = join(await tempDir(), 'node');
  await mkdir(data);
  await chmod(data, 0o777);
  expect(() => checkDataDir(data)).toThrow(/0777/);
});

describe('a key outside the data folder', () => {
  it.each([
    [0o600, 0],
    [0o640, 0],
    [0o644, 9],
    [0o660, 9],
  ])('with mode %o', async (mode, code) => {
    const data = await dataFolder('server');
    const keyFile = join(dirname(data), 'key');
    await rename(join(data, 'master.key'), keyFile);
    await chmod(keyFile, mode);
    const read = () => openMasterKey({ dataDir: data, keyFile });
    if (code === 0) read();
    else expect(read).toThrow(expect.objectContaining({ code: 'PERMISSIONS_UNSAFE' }));
  });
});
