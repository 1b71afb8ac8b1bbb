// Substitution in the files of a release: which files, in which encodings, and what is told about them.
import { chmod, link, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, it } from 'vitest';
import type { SubstitutionRule } from '../../tentacle/packages/payload.ts';
import { substituteFiles, type Substitution } from '../../tentacle/packages/substitute-files.ts';
import { tempDir } from '../support/temp.ts';

type Files = Readonly<Record<string, string | Buffer>>;

type Given = Pick<Substitution, 'substitute'> & Partial<Substitution>;

const rules = (...patterns: readonly string[]): SubstitutionRule[] =>
  patterns.map((pattern) => ({ pattern, encoding: 'utf-8' }));

/** A release with these files (mode 0644), what was told about them, and their content afterwards. */
async function release(
  files: Files,
  { substitute, variables = { Name: 'Zoë' }, sensitiveNames = [], fileRules = {} }: Given,
) {
  const root = await tempDir();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(name)), { recursive: true });
    await writeFile(join(root, name), content);
    await chmod(join(root, name), 0o644);
  }
  const order = { substitute, variables, sensitiveNames, fileRules };
  const warnings = await substituteFiles(root, order);
  return {
    root,
    warnings,
    content: (name: string) => readFile(join(root, name)),
    mode: async (name: string) => (await stat(join(root, name))).mode & 0o777,
  };
}

it('tells what it could not substitute, with file and line, and leaves it as it is', async () => {
  const files = {
    'a.json': 'x\n#{Missing}\n#{Missing}\n#{Name | Rot13} #{Name}\n#{My Name}\n#{each x in Lsit}#{x}#{/each}',
    'b.json': Buffer.from('#{Name} \xe9', 'latin1'),
    'c.json': Buffer.from('#{Name}', 'utf16le'),
    'd.json': Buffer.from([0, 0xff]),
    'e.json': Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0]), Buffer.from('#\0\0\0')]),
    'f.json': Buffer.from('a\0#{Name}'),
    ...Object.fromEntries(['1', '2', '3', '4', '5', '6'].map((each) => [`g${each}.json`, Buffer.from('\0#{a"')])),
  };
  const { warnings, content } = await release(files, { substitute: rules('*.json', 'conf/*.xml') });
  expect(warnings).toEqual([
    {
      ...{ kind: 'unresolved', file: 'a.json', line: 2 },
      text: '#{Missing} has no value and stays as it is (also in line 3)',
    },
    {
      ...{ kind: 'unknown-filter', file: 'a.json', line: 4 },
      text: 'there is no filter Rot13: #{Name | Rot13} stays as it is',
    },
    { kind: 'not-expression', file: 'a.json', line: 5, text: 'not an expression: #{My Name}' },
    {
      ...{ kind: 'unresolved', file: 'a.json', line: 6 },
      text: 'Lsit has no value: #{each x in Lsit} stays as it is, with its block',
    },
    { kind: 'not-text', file: 'b.json', line: 0, text: 'is not text in utf-8: nothing was substituted in it' },
    { kind: 'not-text', file: 'c.json', line: 0, text: 'is not text in utf-8: nothing was substituted in it' },
    { kind: 'not-text', file: 'e.json', line: 0, text: 'is not text in utf-8: nothing was substituted in it' },
    { kind: 'not-text', file: 'f.json', line: 0, text: 'is not text in utf-8: nothing was substituted in it' },
    { kind: 'no-match', file: '', line: 0, text: 'no file matches conf/*.xml' },
    {
      ...{ kind: 'binary', file: '', line: 0 },
      text: 'nothing was substituted in what is binary: d.json, g1.json, g2.json, g3.json, g4.json and 2 more',
    },
  ]);
  expect(String(await content('a.json'))).toBe(files['a.json'].replace('#{Name}', 'Zoë'));
  expect(await content('c.json')).toEqual(files['c.json']);
});

it('substitutes in dot files, in UTF-16 by its mark and in Latin-1 as declared, and writes them back in kind', async () => {
  const utf16 = (text: string) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, 'utf16le')]);
  const files = {
    'conf/.env': 'NAME=#{Name}',
    '.hidden/deep/a.conf': '#{Name}',
    'web.config': utf16('<a>#{Name}</a>'),
    'old.ini': Buffer.from('é=#{Name}', 'latin1'),
  };
  const latin1: SubstitutionRule = { pattern: '*.ini', encoding: 'iso-8859-1' };
  const substitute = [latin1, ...rules('**/.env', '**/*.conf', 'web.*', '*.ini')];
  const { root, warnings, content } = await release(files, { substitute });
  expect(warnings).toEqual([]);
  expect(await content('conf/.env')).toEqual(Buffer.from('NAME=Zoë'));
  expect(await content('.hidden/deep/a.conf')).toEqual(Buffer.from('Zoë'));
  expect(await content('web.config')).toEqual(utf16('<a>Zoë</a>'));
  expect(await content('old.ini')).toEqual(Buffer.from('é=Zoë', 'latin1'));
  expect(await readdir(join(root, 'conf'))).toEqual(['.env']);
});

it('narrows only the file that took a secret in, and says so', async () => {
  const files = { 'a.json': '#{Secret}', 'b.json': '#{Name}', 'c.json': '#{if Secret}yes#{/if}' };
  const variables = { Name: 'Zoë', Secret: 'hunter2' };
  const more = { substitute: rules('*.json'), variables, sensitiveNames: ['Secret'] };
  const { warnings, mode } = await release(files, more);
  const text = 'took in a sensitive value: only its owner may read it';
  expect(warnings).toEqual([{ kind: 'sensitive', file: 'a.json', line: 0, text }]);
  expect([await mode('a.json'), await mode('b.json'), await mode('c.json')]).toEqual([0o600, 0o644, 0o644]);
});

it('leaves a secret to the group that the step names', async () => {
  const more = { variables: { Secret: 'hunter2' }, sensitiveNames: ['Secret'], fileRules: { group: 'web' } };
  const { warnings, mode } = await release({ 'a.json': '#{Secret}' }, { substitute: rules('*.json'), ...more });
  expect(warnings).toMatchObject([{ text: 'took in a sensitive value: only its owner and group may read it' }]);
  expect(await mode('a.json')).toBe(0o640);
});

it('fails on a value that a file cannot hold, and names file and line but no value', async () => {
  const substitute: SubstitutionRule[] = [{ pattern: '*.ini', encoding: 'iso-8859-1' }];
  const made = release({ 'old.ini': 'a\nname=#{Name}' }, { substitute, variables: { Name: '€' } });
  await expect(made).rejects.toMatchObject({
    code: 'SUBSTITUTION_ENCODING',
    message: 'old.ini, line 2: iso-8859-1 lacks a character of a value',
  });
});

it('names the file whose blocks do not match', async () => {
  await expect(release({ 'a/b.ini': 'x\n#{if A}' }, { substitute: rules('**') })).rejects.toMatchObject({
    code: 'VARIABLE_SYNTAX',
    message: 'a/b.ini: line 2: #{if} is never closed',
  });
});

it('follows no link, and gives only the name that it matched the new content', async () => {
  const { root } = await release({}, { substitute: [] });
  const outside = join(await tempDir(), 'outside.txt');
  await writeFile(outside, '#{Name}');
  await symlink(outside, join(root, 'link.txt'));
  await link(outside, join(root, 'hard.txt'));
  const order = { substitute: rules('*.txt'), variables: { Name: 'Zoë' }, sensitiveNames: [], fileRules: {} };
  await substituteFiles(root, order);
  expect(await readFile(outside, 'utf8')).toBe('#{Name}');
  expect(await readFile(join(root, 'hard.txt'), 'utf8')).toBe('Zoë');
});
