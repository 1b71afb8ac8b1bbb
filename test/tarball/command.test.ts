// What `npm run package` says of a mistake, and what it leaves in its folder when it ends early.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { packageCommand } from '../../build/package/command.ts';
import { createPartial, publish } from '../../build/package/out-folder.ts';
import { waitFor } from '../support/wait.ts';

const root = join(import.meta.dirname, '../..');

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-package-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string): string => join(folder, name);

async function runPackage(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const code = await packageCommand(args, {
    out: (text) => (texts.out += `${text}\n`),
    err: (text) => (texts.err += `${text}\n`),
    signal: new AbortController().signal,
  });
  return { code, ...texts };
}

/** What a mistake is answered with: a line, and exit code 2. */
async function mistake(...args: string[]): Promise<string> {
  const { code, out, err } = await runPackage(...args);
  expect({ code, out }).toEqual({ code: 2, out: '' });
  expect(err).toMatch(/^isthmus package: .+; .+\n$/);
  return err.slice('isthmus package: '.length, -1);
}

function pemOf(key: KeyObject, passphrase?: string): string | Buffer {
  const cipher = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return key.export({ type: 'pkcs8', format: 'pem', ...cipher });
}

test.each([
  [['--kye', 'x'], 'there is no option --kye; did you mean "--key"?'],
  [['-x'], 'there is no option -x; npm run package -- --help shows all'],
  [['--key'], '--key lacks its value; give it as --key FILE'],
  [['--key', '--arch', 'x64'], '--key lacks its value; give it as --key FILE'],
  [['--out', ''], '--out lacks its value; give it as --out DIR'],
  [['--deb=yes'], '--deb takes no value; leave out "=yes"'],
  [['--arch', 'x64', '--arch', 'arm64'], '--arch is there twice; give it once'],
  [['x64'], 'there is nothing to do with "x64"; give options after --, as in npm run package -- --arch x64'],
  [['--arch', 'amd64'], 'there is no architecture "amd64"; say --arch x64'],
  [['--arch', 'aarch64'], 'there is no architecture "aarch64"; say --arch arm64'],
  [['--arch', 'mips'], 'there is no architecture "mips"; --arch takes x64 or arm64'],
  [['--version', 'vier'], '"vier" is no version; --version takes three numbers, such as 0.2.0 or 0.2.0-rc.1'],
  [['--version', '1.2'], '"1.2" is no version; --version takes three numbers, such as 0.2.0 or 0.2.0-rc.1'],
  [['--base', 'debian'], '--base is what images are built on; add --image, or leave it out'],
  [['--new-key', 'k', '--deb'], '--new-key creates a key and does nothing else; leave out --deb, and build afterwards'],
])('%j is answered with what to do', async (args, said) => {
  expect(await mistake(...args)).toBe(said);
});

test('a key that cannot sign is named, with what it is', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const files = {
    public: publicKey.export({ type: 'spki', format: 'pem' }),
    encrypted: pemOf(privateKey, 'x'),
    rsa: pemOf(rsa),
    open: pemOf(privateKey),
    text: 'no key',
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(at(name), content, { mode: 0o600 });
  for (const name of ['open', 'public']) chmodSync(at(name), 0o644);
  const said = async (name: string): Promise<string> =>
    (await mistake('--key', at(name), '--out', at('text/out'))).replace(folder, '');
  expect(await said('public')).toBe('/public is a public key; --key takes the private one, as --new-key created it');
  expect(await said('encrypted')).toMatch('/encrypted is encrypted; write it without a passphrase first: openssl pkey');
  expect(await said('rsa')).toBe('/rsa is a key for RSA, not for Ed25519; --new-key FILE creates one');
  expect(await said('open')).toBe('/open can be used by others (mode 0644); chmod 600 it, or create another key');
  expect(await said('text')).toBe('/text is no private key in PEM; --new-key FILE creates one');
  expect(await said('missing')).toBe('there is no file /missing; --new-key FILE creates a key');
  expect(await mistake('--key', folder)).toBe(
    `${folder} cannot be read (EISDIR); --key names the file of a private key`,
  );
});

test('a new key is its owner’s alone, and never takes the place of another', async () => {
  const file = at('new.key');
  expect(await runPackage('--new-key', file)).toMatchObject({ code: 0, err: '' });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const before = readFileSync(file, 'utf8');
  expect(await mistake('--new-key', file)).toBe(`${file} is there already; sign with it (--key), or name another file`);
  expect(readFileSync(file, 'utf8')).toBe(before);
  expect(await mistake('--new-key', at('none/new.key'))).toMatch('cannot be created (ENOENT)');
});

test('a folder that cannot be filled, and a checkout that is none, are named', async () => {
  writeFileSync(at('file'), '');
  expect(await mistake('--out', at('file/out'))).toMatch('(ENOTDIR); name another folder with --out');
  expect(await mistake('--out', '/proc/isthmus')).toMatch('(ENOENT); name another folder with --out');
  expect(await mistake('--source', folder)).toBe(`${folder} is no checkout of Isthmus; --source names one`);
});

test('the help has every option with an example', async () => {
  const { code, out } = await runPackage('--help');
  expect(code).toBe(0);
  const options = [...out.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, name]) => name);
  expect(options).toEqual(['new-key', 'key', 'arch', 'out', 'version', 'deb', 'image', 'base', 'source', 'help']);
  for (const name of options) expect(out).toMatch(new RegExp(`^ {21}npm run package -- .*--${name}\\b`, 'm'));
});

test('a missing program is one line, before anything is built', () => {
  const programs = at('programs');
  mkdirSync(programs);
  symlinkSync(process.execPath, join(programs, 'node'));
  for (const [option, program] of [
    ['--deb', 'dpkg-deb'],
    ['--image', 'buildah'],
  ] as const) {
    expect(said(root, { PATH: programs }, option, '--out', at('none'))).toEqual({
      status: 1,
      stderr: `isthmus package: ${program} is not on the PATH; install it, or leave out ${option}\n`,
    });
  }
  expect(readdirSync(folder)).not.toContain('none');
});

test('a checkout without its dependencies is told what to do', () => {
  const tree = at('checkout');
  for (const name of ['build', 'certs', 'cli', 'contract', 'lib', 'package.json']) {
    cpSync(join(root, name), join(tree, name), { recursive: true });
  }
  expect(said(tree, {}, '--arch', 'x64')).toEqual({
    status: 2,
    stderr: 'isthmus package: node_modules is missing or not whole; run npm ci\n',
  });
});

/** How a process of the command fails in a checkout. */
function said(tree: string, env: NodeJS.ProcessEnv, ...args: string[]): { status: number; stderr: string } {
  try {
    const words = [join(tree, 'build/package/main.ts'), ...args];
    execFileSync(process.execPath, words, { stdio: 'pipe', encoding: 'utf8', env: { ...process.env, ...env } });
  } catch (thrown) {
    const { status, stderr } = thrown as { status: number; stderr: string };
    return { status, stderr };
  }
  throw new Error('it did not fail');
}

/** A folder with a signed build, for both architectures, of an earlier version, and a file of somebody's. */
function earlierBuild(name: string): string {
  const out = at(name);
  mkdirSync(out);
  const names = ['isthmus-0.1.0-linux-x64.tar.gz', 'isthmus-0.1.0-linux-arm64.tar.gz', 'isthmus_0.1.0_amd64.deb'];
  const others = ['isthmus-0.1.0-linux-x64.oci.tar', 'SHA256SUMS', 'SHA256SUMS.sig', 'isthmus-release.pub', 'notes'];
  for (const each of [...names, ...others]) writeFileSync(join(out, each), 'earlier');
  return out;
}

test('what is published takes the place of all that its list does not name', async () => {
  const out = earlierBuild('published');
  writeFileSync(join(out, 'isthmus-0.2.0-linux-x64.tar.gz'), 'earlier');
  const { folder: partial } = await createPartial(out);
  for (const name of ['isthmus-0.2.0-linux-x64.tar.gz', 'SHA256SUMS']) writeFileSync(join(partial, name), 'new');
  expect(await publish(partial, out)).toEqual([
    'SHA256SUMS.sig',
    'isthmus-0.1.0-linux-arm64.tar.gz',
    'isthmus-0.1.0-linux-x64.oci.tar',
    'isthmus-0.1.0-linux-x64.tar.gz',
    'isthmus-release.pub',
    'isthmus_0.1.0_amd64.deb',
  ]);
  await rm(partial, { recursive: true });
  expect(readdirSync(out).sort()).toEqual(['SHA256SUMS', 'isthmus-0.2.0-linux-x64.tar.gz', 'notes']);
  expect(readFileSync(join(out, 'isthmus-0.2.0-linux-x64.tar.gz'), 'utf8')).toBe('new');
});

test('a folder in the place of a new file is left, and so is all else', async () => {
  const out = earlierBuild('blocked');
  const before = readdirSync(out).filter((name) => name !== 'SHA256SUMS.sig');
  await rm(join(out, 'SHA256SUMS.sig'));
  mkdirSync(join(out, 'SHA256SUMS.sig'));
  const { folder: partial } = await createPartial(out);
  for (const name of ['SHA256SUMS', 'SHA256SUMS.sig']) writeFileSync(join(partial, name), 'new');
  await expect(publish(partial, out)).rejects.toThrow('SHA256SUMS.sig is a folder; remove it');
  for (const name of before) expect(readFileSync(join(out, name), 'utf8')).toBe('earlier');
});

test('two builds into one folder are told of each other, and what a killed one left is removed', async () => {
  const out = earlierBuild('shared');
  mkdirSync(join(out, `.package-${process.ppid}`));
  // No system gives out this number.
  mkdirSync(join(out, '.package-999999999'));
  expect(await mistake('--out', out)).toBe(
    `another build works in ${out} (process ${process.ppid}); wait for it, or name another --out`,
  );
  expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([`.package-${process.ppid}`]);
});

test('stopped while it packs, it leaves its folder as it was', async () => {
  const out = earlierBuild('stopped');
  const before = readdirSync(out);
  const programs = at('waiting-programs');
  mkdirSync(programs);
  // If the tarball is whole before the signal comes, the build waits here.
  const waits = '#!/bin/sh\n[ "$1" = --version ] || exec sleep 1000\n';
  writeFileSync(join(programs, 'dpkg-deb'), waits, { mode: 0o755 });
  const words = [join(root, 'build/package/main.ts'), '--out', out, '--arch', process.arch, '--deb'];
  const env = { ...process.env, PATH: `${programs}:${process.env['PATH']}` };
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'close');
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const partial = join(out, `.package-${child.pid}`);
  await waitFor(() => child.exitCode !== null || readdirSync(partial).some((name) => name.endsWith('.tar.gz')), {
    limitMs: 90_000,
    what: 'half a tarball',
  });
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(err).toBe('isthmus package: stopped; nothing was changed in the folder of --out\n');
  expect(readdirSync(out)).toEqual(before);
  for (const name of before) expect(readFileSync(join(out, name), 'utf8')).toBe('earlier');
  expect(readdirSync(join(root, 'node_modules/.cache/package'))).not.toContain(`.package-${child.pid}`);
});
