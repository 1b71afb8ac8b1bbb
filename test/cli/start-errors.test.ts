// Why a component does not start: a wrong settings file, a port in use, an unusable data folder, a wrong key, a newer
// database, a misspelt variable. Each has its code, names the location, and leaves the data folder unchanged.
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it, onTestFinished } from 'vitest';
import { identityFolder, writeIdentity } from '../../certs/identity.ts';
import { createTestMesh } from '../support/identities.ts';
import { lacks } from '../support/needs.ts';
import { smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { isthmus } from '../support/terminal.ts';

const executable = join(import.meta.dirname, '../../bin/isthmus');

/** A folder that `init` has created. */
async function serverFolder(): Promise<string> {
  const folder = await tempDir();
  const data = join(folder, 'server');
  const listen = ['--mesh-listen', '127.0.0.1:0', '--api-listen', '127.0.0.1:0'];
  const words = ['--context', join(folder, 'context.json'), 'init', '--data', data, ...listen];
  expect((await isthmus(words)).code).toBe(0);
  return data;
}

/** The folder of a joined relay, or another component below the server. */
async function nodeFolder(role: 'relay' | 'mirror' | 'tentacle'): Promise<string> {
  const mesh = await createTestMesh();
  const data = join(await tempDir(), role);
  await mkdir(data);
  writeIdentity(identityFolder(data), await mesh.identity('eu-1', role, { site: 'eu' }));
  await writeFile(join(data, 'config.yaml'), settings);
  return data;
}

const settings = 'listen: 127.0.0.1:0\nparents:\n  - node: server-1\n    address: 127.0.0.1:1\n';

/** Every file below a folder with its content, without locks, which come and go with their process. */
async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && !/^data\.(lock|pid)/.test(entry.name));
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).toSorted();
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await readFile(path, 'base64')] as const)),
  );
}

async function expectRejected(component: string, data: string, expected: { code: number; err: RegExp }): Promise<void> {
  const before = await contents(data).catch(() => undefined);
  const { code, out, err } = await isthmus([component, 'start', '--data', data]);
  expect({ code, out }).toEqual({ code: expected.code, out: '' });
  expect(err).toMatch(expected.err);
  expect(await contents(data).catch(() => undefined)).toEqual(before);
}

describe('a settings file', () => {
  const wrong: readonly (readonly [string, string, RegExp])[] = [
    ['an unknown key', 'listn: 127.0.0.1:1\n', /config\.yaml:5: "listn" is not a setting; did you mean "listen"\?/],
    ['a key twice', 'listen: 127.0.0.1:1\n', /config\.yaml:5: the key "listen" is duplicated/],
    ['an alias', 'address: *here\n', /config\.yaml:5: (the alias|Unresolved alias)/],
    ['an anchor', 'address: &here 127.0.0.1:1\n', /config\.yaml:5: the anchor &here is not allowed/],
    ['a tag', 'address: !env HOST\n', /config\.yaml:5: /],
    ['what is not YAML', 'address: [\n', /config\.yaml:\d: /],
  ];

  it.each(wrong)('with %s stops a relay, with file, line and key', async (_what, line, message) => {
    const data = await nodeFolder('relay');
    await writeFile(join(data, 'config.yaml'), settings + line);
    await expectRejected('relay', data, { code: 9, err: new RegExp(`${message.source}[^]*\\(CONFIG_INVALID\\)`) });
  });

  it.each([
    [
      'tentacle',
      'logQuotaBytes: 10MB\n',
      /config\.yaml:5: "logQuotaBytes" must be a plain number of bytes, without a unit/,
    ],
    ['mirror', 'quotaBytes: 5 GiB\n', /config\.yaml:5: "quotaBytes" must be a plain number of bytes, without a unit/],
  ] as const)('with a wrong unit stops a %s', async (component, line, message) => {
    const data = await nodeFolder(component);
    await writeFile(join(data, 'config.yaml'), settings + line);
    await expectRejected(component, data, { code: 9, err: message });
  });

  it('with a wrong unit stops a server', async () => {
    const data = await serverFolder();
    const file = join(data, 'config.yaml');
    await writeFile(file, (await readFile(file, 'utf8')).replace('IntervalS: 300', 'IntervalS: 5m'));
    await expectRejected('server', data, { code: 9, err: /"healthCheckIntervalS" must be a plain number of seconds/ });
  });
});

it.each(['server', 'relay', 'mirror', 'tentacle'] as const)(
  'a %s does not start on a port in use',
  async (component) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as AddressInfo;
    const data = component === 'server' ? await serverFolder() : await nodeFolder(component);
    const file = join(data, 'config.yaml');
    await writeFile(file, (await readFile(file, 'utf8')).replace('listen: 127.0.0.1:0', `listen: 127.0.0.1:${port}`));
    const option = component === 'server' ? '--mesh-listen' : '--listen';
    await expectRejected(component, data, {
      code: 9,
      err: new RegExp(`127\\.0\\.0\\.1:${port}.*\\(PORT_IN_USE\\)\n  option: ${option}\n`),
    });
  },
);

describe('a data folder', () => {
  it.skipIf(lacks('root')).each(['server', 'relay', 'mirror', 'tentacle'] as const)(
    'of a %s that cannot be written',
    async (component) => {
      const disk = await smallDisk(8);
      const data = join(disk, component);
      await cp(component === 'server' ? await serverFolder() : await nodeFolder(component), data, { recursive: true });
      execFileSync('mount', ['-o', 'remount,ro', disk]);
      await expectRejected(component, data, { code: 9, err: /\(DATA_DIR_UNUSABLE\)/ });
    },
  );

  it.each(['server', 'relay'] as const)('of a %s that is a file', async (component) => {
    const file = join(await tempDir(), 'data');
    await writeFile(file, 'mine');
    const ended = await isthmus([component, 'start', '--data', file]);
    const said = expect.stringContaining(
      'which is not a folder, or is below a file (ENOTDIR) (DATA_DIR_UNUSABLE)',
    ) as string;
    expect(ended).toMatchObject({ code: 9, err: said });
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  it.skipIf(lacks('root')).each(['server', 'relay'] as const)(
    'of a %s that is not for this account',
    async (component) => {
      const data = component === 'server' ? await serverFolder() : await nodeFolder(component);
      process.seteuid!(65_534);
      const { code, err } = await isthmus([component, 'start', '--data', data]).finally(() => process.seteuid!(0));
      expect(code).toBe(9);
      expect(err).toMatch(/cannot keep data in .* \(EACCES\) \(DATA_DIR_UNUSABLE\)\n {2}what to do: .*this account/);
    },
  );

  it('of another component', async () => {
    const data = await nodeFolder('relay');
    const { code, err } = await isthmus(['tentacle', 'start', '--data', data]);
    expect(code).toBe(9);
    expect(err).toMatch(/is the folder of the relay \S+, not of a tentacle \(IDENTITY_INVALID\)/);
    expect(err).toContain(`what to do: Start it as what it is: isthmus relay start --data ${data}`);
  });

  it('whose database is of a newer version', async () => {
    const data = await serverFolder();
    const [file = ''] = (await readdir(data)).filter((name) => name.endsWith('.db'));
    const database = new DatabaseSync(join(data, file));
    database.exec(`insert into kysely_migration (name, timestamp) values ('9999-later', '2099-01-01')`);
    database.close();
    await expectRejected('server', data, { code: 9, err: /9999-later.*\(SCHEMA_NEWER\)/ });
  });

  it.each([
    ['missing', 'MASTER_KEY_MISSING', (file: string) => rm(file)],
    ['another', 'MASTER_KEY_WRONG', (file: string) => writeFile(file, Buffer.alloc(32, 7).toString('base64'))],
    ['a folder', 'MASTER_KEY_MISSING', (file: string) => rename(file, `${file}.away`).then(() => mkdir(file))],
  ] as const)('whose master key is %s', async (_what, code, spoil) => {
    const data = await serverFolder();
    await spoil(join(data, 'master.key'));
    await expectRejected('server', data, { code: 9, err: new RegExp(`\\(${code}\\)`) });
  });
});

it.each([
  [
    'a misspelt',
    'ISTHMUS_SCRIPT_USR',
    /ISTHMUS_SCRIPT_USR is not a variable of Isthmus; did you mean ISTHMUS_SCRIPT_USER\?/,
  ],
  ['an invalid', 'ISTHMUS_LOG_LEVEL', /ISTHMUS_LOG_LEVEL must be one of debug, info, warn, error \(CONFIG_INVALID\)/],
  ['an invalid', 'ISTHMUS_LOG_FORMAT', /ISTHMUS_LOG_FORMAT must be one of json, text \(CONFIG_INVALID\)/],
])('%s variable stops a component, and names the right one', async (_what, name, err) => {
  const data = await nodeFolder('tentacle');
  const before = await contents(data);
  const env = { ...process.env, [name]: 'nobody' };
  const ended = await new Promise<{ code: unknown; err: string }>((resolve) => {
    execFile(executable, ['tentacle', 'start', '--data', data], { env }, (error, _out, text) =>
      resolve({ code: error?.code, err: text }),
    );
  });
  expect(ended.code).toBe(9);
  expect(ended.err).toMatch(err);
  expect(await contents(data)).toEqual(before);
});
