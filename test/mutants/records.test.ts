// The records fit the tree. A mutant that no longer does would not be made, or be red for a reason of its own.
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { tempDir } from '../support/temp.ts';
import { records } from './all.ts';
import { changesOf, mutate } from './mutant.ts';
import { titlesIn } from './titles.ts';

const root = join(import.meta.dirname, '../..');
const recorded = Object.values(records).flatMap((mutants) => Object.entries(mutants));
const mutant = { file: 'one.ts', find: 'yes', replace: 'no', red: { file: 'test/one.test.ts', test: ['says yes'] } };
/** "Cannot find name" and "property does not exist", each also with a guess at what was meant. */
const UNKNOWN_NAME_CODES = new Set([2304, 2552, 2339, 2551]);

test('a mutant that does not fit its file exactly once says so and changes nothing', async () => {
  const folder = await tempDir();
  const write = (text: string) => writeFile(join(folder, 'one.ts'), text);
  await write('maybe');
  await expect(mutate(folder, mutant)).rejects.toThrow('one.ts: expected exactly once, found 0 times: yes');
  await write('yes, yes');
  await expect(mutate(folder, mutant)).rejects.toThrow('one.ts: expected exactly once, found 2 times: yes');
  expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('yes, yes');
});

test('a mutant that has been made is undone', async () => {
  const folder = await tempDir();
  await writeFile(join(folder, 'one.ts'), 'yes, or maybe');
  const two = { ...mutant, also: [{ file: 'one.ts', find: 'maybe', replace: 'never' }] };
  const restore = await mutate(folder, two);
  expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('no, or never');
  await restore();
  expect(await readFile(join(folder, 'one.ts'), 'utf8')).toBe('yes, or maybe');
});

test('every mutant fits the tree, and names nothing that its files do not know', async () => {
  const misfits: string[] = [];
  const texts = new Map<string, string>();
  const variants: { name: string; original: string; variant: string }[] = [];
  for (const [name, each] of recorded) {
    if (!existsSync(join(root, each.red.file))) misfits.push(`${name}: there is no ${each.red.file}`);
    const changes = await changesOf(root, each).catch((error: Error) => {
      misfits.push(`${name}: ${error.message}`);
      return [];
    });
    for (const { path, before, after } of changes) {
      const variant = path.replace(/\.ts$/, `.${name}.ts`);
      texts.set(path, before).set(variant, after);
      variants.push({ name, original: path, variant });
    }
  }
  const unknown = unknownNames(texts);
  for (const { name, original, variant } of variants) {
    const added = unknown.get(variant)?.difference(unknown.get(original) ?? new Set()) ?? new Set();
    misfits.push(...[...added].map((message) => `${name}: ${message}`));
  }
  expect(misfits).toEqual([]);
});

test('every red test has the name of a test in its file', () => {
  const titles = new Map<string, RegExp[]>();
  const unknown = recorded.flatMap(([name, { red }]) => {
    if (!titles.has(red.file)) titles.set(red.file, titlesIn(join(root, red.file)));
    const missing = red.test.filter((part) => !titles.get(red.file)?.some((title) => title.test(part)));
    return missing.map((part) => `${name}: ${red.file} names nothing "${part}"`);
  });
  expect(unknown).toEqual([]);
});

test('the names in a test file are known without running it', async () => {
  const folder = await tempDir();
  await writeFile(join(folder, 'helper.ts'), "describe('from a helper', () => undefined);");
  await writeFile(
    join(folder, 'one.test.ts'),
    `import './helper.ts';
    describe.skipIf(lacks('root'))('a (suite)', () => {
      it.each(values)('each of %s and $one.two', () => { expect('no name').toBe(''); });
      it(\`of \${x} rows\`, () => { /yes/.test('no name either'); });
    });`,
  );
  const titles = titlesIn(join(folder, 'one.test.ts'));
  const isNamed = (name: string): boolean => titles.some((title) => title.test(name));
  for (const name of ['a (suite)', 'each of a, b and c', 'of 3 rows', 'from a helper'])
    expect(isNamed(name)).toBe(true);
  const long = `each of a and ${'b'.repeat(41)}`;
  for (const name of ['a suite', 'each of a', long, 'no name', 'no name either', 'root'])
    expect(isNamed(name)).toBe(false);
});

test('no two mutants have the same name', () => {
  expect(recorded.length).toBe(new Set(recorded.map(([name]) => name)).size);
});

/** What the compiler says about unknown names in files that are given by path, each looked at by itself. */
function unknownNames(texts: ReadonlyMap<string, string>): Map<string, Set<string>> {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2024,
    lib: ['lib.es2025.d.ts'],
    types: [],
    noResolve: true,
  };
  const host = ts.createCompilerHost(options);
  const fromDisk = host.readFile.bind(host);
  host.readFile = (path) => texts.get(path) ?? fromDisk(path);
  host.fileExists = (path) => texts.has(path) || existsSync(path);
  const program = ts.createProgram([...texts.keys()], options, host);
  const messages = (path: string): string[] =>
    program
      .getSemanticDiagnostics(program.getSourceFile(path))
      .filter(({ code }) => UNKNOWN_NAME_CODES.has(code))
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
  return new Map([...texts.keys()].map((path) => [path, new Set(messages(path))]));
}
