// Fails where a retired word stands in a name of the code, the wire contract, the command line, the database or the
// documents, or a retired phrase in a text.
// usage: node build/check-words.ts
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { RETIRED_PHRASES, RETIRED_WORDS } from './retired-words.ts';

export interface Finding {
  readonly where: string;
  readonly found: string;
  readonly say: string;
}

/** What is found in one file, and at which character. */
interface Found {
  readonly at: number;
  readonly found: string;
  readonly say: string;
}

const SAY = new Map(RETIRED_WORDS.map(({ word, say }) => [word, say]));
/** Those of several words. */
const COMPOUNDS = [...SAY.keys()].filter((word) => word.includes(' '));

/** Names that are not ours to choose, with their owner. */
const FOREIGN: ReadonlyMap<string, string> = new Map([
  ['passWithNoTests', 'Vitest'],
  ['numPassedTests', 'Vitest'],
  ['PassThrough', 'Node.js'],
]);

/** Generated and planted files, and those that are about retired words. */
const NOT_CHECKED =
  /^(proto\/gen\/|test\/boundaries\/planted\/|build\/retired-words\.ts$|test\/docs\/words\.test\.ts$)/;

const OPTION = /--[a-z][a-z-]*/g;
/** A text that is a name: `name`, `someName`, `SOME_NAME`, `some-name`, `some.name`; or a path: `/some/name`. */
const NAME = /^\w+([.-]\w+)*$|^\/\S*$/;
/** Methods and classes of Commander whose first argument holds names: `.command('some name <id>')`. */
const NAMING = new Set(['command', 'option', 'requiredOption', 'Option']);
/** The strings of server/store that name a table or column: `tasks`, `tasks.state`, `tasks.id as task`. */
const SQL_NAME = /^[a-z_]+(\.[a-z_]+)?( as [a-z_]+)?$/;
/** A fenced block, or else a span on one line. */
const CODE = /^ *```[^]*?^ *```|`[^`\n]+`/gm;

/** The retired words of a name, after it is split at case changes, digits and punctuation. */
export function retiredIn(name: string): string[] {
  if (FOREIGN.has(name)) return [];
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z]+/);
  const compounds = COMPOUNDS.filter((compound) => ` ${words.join(' ')} `.includes(` ${compound} `));
  return [...words.filter((word) => SAY.has(word)), ...compounds];
}

/** The retired words and phrases of one file; none in a file of another kind than those below. */
export function findIn(path: string, text: string): Finding[] {
  return findByKind(path, text)
    .sort((a, b) => a.at - b.at)
    .map(({ at, found, say }) => ({ where: `${path}:${text.slice(0, at).split('\n').length}`, found, say }));
}

function findByKind(path: string, text: string): Found[] {
  if (/\.ts(\.txt)?$/.test(path)) return inSource(path, text);
  if (path.endsWith('.proto')) return inProto(text);
  if (/\.(md|txt)$/.test(path)) return inProse(text);
  return [];
}

/** TypeScript: identifiers, texts that are names, options in texts, names in SQL; phrases everywhere, also in comments. */
function inSource(path: string, text: string): Found[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = phrasesIn(text.replace(/^ *(\/\/|\*)/gm, blank));
  const visit = (node: ts.Node): void => {
    const at = node.getStart(source);
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
      found.push(...wordsIn(node.text, at));
    } else if (isText(node)) {
      const names = isName(node) || isSql(path, node) ? [node.text] : (node.text.match(OPTION) ?? []);
      found.push(...names.flatMap((name) => wordsIn(name, at)));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isText(node: ts.Node): node is ts.LiteralLikeNode {
  return (
    ts.isStringLiteralLike(node) || node.kind === ts.SyntaxKind.TemplateHead || ts.isTemplateMiddleOrTemplateTail(node)
  );
}

/** Whether a text is a name by its form, as a key, or as the first argument that names a command or an option. */
function isName(node: ts.LiteralLikeNode): boolean {
  const { parent } = node;
  if (NAME.test(node.text) || (parent as ts.NamedDeclaration).name === node) return true;
  if (!(ts.isCallExpression(parent) || ts.isNewExpression(parent)) || parent.arguments?.[0] !== (node as ts.Node))
    return false;
  const { expression } = parent;
  return NAMING.has((ts.isPropertyAccessExpression(expression) ? expression.name : expression).getText());
}

/** Whether a text of server/store is a table's or column's name, or a part of sql`…`. */
function isSql(path: string, node: ts.LiteralLikeNode): boolean {
  if (!path.startsWith('server/store/')) return false;
  const template = ts.isTemplateSpan(node.parent) ? node.parent.parent : node.parent;
  const tagged = ts.isTemplateExpression(template) ? template.parent : template;
  return SQL_NAME.test(node.text) || (ts.isTaggedTemplateExpression(tagged) && tagged.tag.getText() === 'sql');
}

/** The wire contract: the names of messages, fields, services and methods; in comments phrases only. */
function inProto(text: string): Found[] {
  const code = text.replace(/\/\/.*$/gm, blank);
  const names = [...code.matchAll(/\w+/g)].flatMap(({ 0: name, index }) => wordsIn(name, index));
  return [...names, ...phrasesIn(text.replaceAll('//', blank))];
}

/** Documents: phrases everywhere, words in code spans and code blocks only. */
function inProse(text: string): Found[] {
  const names = [...text.matchAll(CODE)].flatMap(({ 0: code, index }) =>
    [...code.matchAll(/[\w-]+/g)].flatMap((name) => wordsIn(name[0], index + name.index)),
  );
  return [...names, ...phrasesIn(text)];
}

/** Spaces in place of a text, so that what follows keeps its position. */
function blank(text: string): string {
  return ' '.repeat(text.length);
}

function wordsIn(name: string, at: number): Found[] {
  return retiredIn(name).map((found) => ({ at, found, say: SAY.get(found) ?? '' }));
}

/** A phrase may be broken into lines. */
function phrasesIn(text: string): Found[] {
  return RETIRED_PHRASES.flatMap(({ phrase, say }) => {
    const anywhere = new RegExp(phrase.source.replaceAll(' ', String.raw`\s+`), `${phrase.flags}g`);
    return [...text.matchAll(anywhere)].map(({ 0: words, index }) => ({
      at: index,
      found: words.replaceAll(/\s+/g, ' '),
      say,
    }));
  });
}

function findAll(root: string): Finding[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const paths = listed.split('\n').filter((path) => path !== '' && existsSync(join(root, path)));
  return paths.flatMap((path) => {
    if (NOT_CHECKED.test(path)) return [];
    const inName = retiredIn(path).map((found) => ({ where: path, found, say: SAY.get(found) ?? '' }));
    return [...inName, ...findIn(path, readFileSync(join(root, path), 'utf8'))];
  });
}

if (import.meta.main) {
  const findings = findAll(join(import.meta.dirname, '..'));
  for (const { where, found, say } of findings) console.error(`${where}: “${found}” is retired; say ${say}`);
  if (findings.length > 0) process.exitCode = 1;
}
