// The tarball: complete, small enough to carry, and what its list says. test/install has what takes longer.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { productionDependencies } from '../../build/package/dependencies.ts';
import { LAST_MIGRATION } from '../../server/store/migrations/migrate.ts';
import { NODE_VERSION } from '../../build/package/node-binary.ts';
import manifest from '../../package.json' with { type: 'json' };
import { run } from '../lab/support/run.ts';
import { lacks } from '../support/needs.ts';
import { builtPackage, unpackedTree, type BuiltPackage } from '../support/package.ts';
import { isthmus } from '../support/terminal.ts';

const root = join(import.meta.dirname, '../..');
const mostBytes = 60 * 1024 * 1024;

let built: BuiltPackage;
let folder = '';
let tree = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-package-'));
  built = await builtPackage();
  tree = await unpackedTree(folder);
}, 240_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

test('is small enough to carry, and says what it is', async () => {
  expect((await stat(built.tarball)).size).toBeLessThan(mostBytes);
  expect(JSON.parse(readFileSync(join(tree, 'version.json'), 'utf8'))).toMatchObject({
    version: manifest.version,
    platform: 'linux',
    architecture: process.arch,
    node: NODE_VERSION,
    schema: LAST_MIGRATION,
  });
});

test('has its code in ASCII, which V8 keeps in half the memory', () => {
  const code = readdirSync(join(tree, 'app'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.js$/.test(name),
  );
  expect(code).toContain('cli/main.js');
  const others = code.filter((name) => !readFileSync(join(tree, 'app', name)).every((byte) => byte < 0x80));
  expect(others).toEqual([]);
});

test('has a compose file for its own image', () => {
  expect(readFileSync(join(tree, 'docker/compose.yaml'), 'utf8')).toMatch(
    new RegExp(`^ *image: isthmus:${manifest.version}$`, 'm'),
  );
});

test('is signed, and its files are those of its list', async () => {
  const { code } = await isthmus([
    'release',
    'verify',
    built.tarball,
    '--key',
    join(built.folder, 'isthmus-release.pub'),
  ]);
  expect(code).toBe(0);
  const listed = readFileSync(join(tree, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
  const files = readdirSync(tree, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(tree.length + 1));
  expect(listed.map((line) => line.slice(66)).sort()).toEqual(files.filter((name) => name !== 'SHA256SUMS').sort());
  for (const line of listed) expect(sha256(join(tree, line.slice(66)))).toBe(line.slice(0, 64));
});

test.skipIf(lacks('openssl'))('is signed so that OpenSSL can tell', async () => {
  const at = (name: string): string => join(built.folder, name);
  const words = ['pkeyutl', '-verify', '-pubin', '-inkey', at('isthmus-release.pub'), '-rawin'];
  const said = await run('openssl', [...words, '-in', at('SHA256SUMS'), '-sigfile', at('SHA256SUMS.sig')]);
  expect(said).toBe('Signature Verified Successfully\n');
});

test('has the licence of everything that it brings', () => {
  const texts = readdirSync(join(tree, 'licences'), { recursive: true, encoding: 'utf8' });
  for (const { name, version } of productionDependencies(root)) expect(texts).toContain(`${name}-${version}.txt`);
  expect(texts).toContain(`node-${NODE_VERSION}.txt`);
  for (const text of texts.filter((name) => name.endsWith('.txt'))) {
    expect(readFileSync(join(tree, 'licences', text), 'utf8'), text).toMatch(/licen[cs]e|copyright/i);
  }
});
