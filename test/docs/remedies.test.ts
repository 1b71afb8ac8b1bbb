// Errors name no command, since programs read them, too: neither the catalogue nor any source outside the command line.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';
import { ERROR_CATALOGUE } from '../../contract/errors.ts';

const root = join(import.meta.dirname, '../..');
const COMMAND = /isthmus [a-z]|--[a-z]/;

/** Files outside the command line with a text that begins like a command. */
const EXCEPTIONS: ReadonlyMap<string, string> = new Map([
  ['server/enrolment/tokens.ts', '`joinCommand`: the line that joins a node, made to be copied'],
  ['server/operations/initialise.ts', 'a comment in config.yaml, for those who edit it'],
  ['server/operations/backup-cipher.ts', 'the first bytes of a backup'],
  ['lib/secrets/seal.ts', 'the label of a key'],
  ['tentacle/scripts/workspace/sealed.ts', 'the label of a key'],
]);

interface Texts {
  /** Of remedies and of everything else that an error is made of. */
  readonly errors: string[];
  readonly all: string[];
}

/** The texts of a source, each with all pieces of a template as its own. */
function textsIn(source: string): Texts {
  const texts: Texts = { errors: [], all: [] };
  const visit = (node: ts.Node, inError: boolean): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      texts.all.push(node.text);
      if (inError) texts.errors.push(node.text);
    }
    ts.forEachChild(node, (child) => {
      visit(child, inError || isErrorText(node));
    });
  };
  visit(ts.createSourceFile('x.ts', source, ts.ScriptTarget.Latest, true), false);
  return texts;
}

function isErrorText(node: ts.Node): boolean {
  if (ts.isPropertyAssignment(node) || ts.isVariableDeclaration(node)) return node.name.getText() === 'remedy';
  return ts.isNewExpression(node) && node.expression.getText() === 'IsthmusError';
}

const sources = globSync('{certs,contract,host,lib,mesh,mirror,node,relay,server,tentacle}/**/*.ts', { cwd: root })
  .filter((path) => !path.endsWith('.test.ts'))
  .map((path) => ({ path, ...textsIn(readFileSync(join(root, path), 'utf8')) }));

test('no remedy of the catalogue names a command', () => {
  for (const [code, { remedy }] of Object.entries(ERROR_CATALOGUE)) expect(remedy, code).not.toMatch(COMMAND);
});

test('no error outside the command line names a command', () => {
  expect(sources.flatMap(({ errors }) => errors).length).toBeGreaterThan(500);
  const found = sources.flatMap(({ path, errors }) =>
    errors.filter((text) => COMMAND.test(text)).map((text) => `${path}: ${text}`),
  );
  expect(found).toEqual([]);
});

test('no other text begins like a command, but for the named exceptions', () => {
  const naming = sources.filter(({ all }) => all.some((text) => /(^|`)isthmus [a-z]/.test(text)));
  expect(naming.map(({ path }) => path).sort()).toEqual([...EXCEPTIONS.keys()].sort());
});

test('finds the texts of errors, and of no others', () => {
  const { errors, all } = textsIn(`
    throw new IsthmusError('USAGE', late ? \`no \${a} isthmus b\` : 'c', { remedy: one ? 'd' : 'e' });
    const view = { remedy: 'f', text: 'g' };
    const remedy = 'h';
  `);
  expect(errors).toEqual(['USAGE', 'no ', ' isthmus b', 'c', 'd', 'e', 'f', 'h']);
  expect(all).toContain('g');
});
