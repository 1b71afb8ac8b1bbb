// The names of suites and tests that a test file writes down, read without running it.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

const SUITES_AND_TESTS = new Set(['describe', 'it', 'test']);
/** What vitest puts values for. It cuts `$name.first` after 40 characters, and `%s` never. */
const PLACEHOLDER = /(%[sdifjoc#$]|\$[\w.#]+)/;
const patternOfValue = (placeholder: string): string => (placeholder.startsWith('$') ? '.{0,40}' : '.*');

/**
 * One pattern for each name in the file, and in the helpers beside it that it imports, since tests are also written
 * there. A value that only the run knows matches any text.
 */
export function titlesIn(path: string): RegExp[] {
  return [path, ...helpersOf(path)].flatMap((each) => {
    const patterns: RegExp[] = [];
    const visit = (node: ts.Node): void => {
      const [title] = ts.isCallExpression(node) && SUITES_AND_TESTS.has(rootOf(node.expression)) ? node.arguments : [];
      // `describe.skipIf(…)` and `it.each(…)` are calls themselves, whose argument is no name.
      if (title !== undefined && !isCalled(node)) patterns.push(patternOf(title));
      ts.forEachChild(node, visit);
    };
    visit(parse(each));
    return patterns;
  });
}

function parse(path: string): ts.SourceFile {
  return ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest, true);
}

function helpersOf(path: string): string[] {
  return ts
    .preProcessFile(readFileSync(path, 'utf8'))
    .importedFiles.filter(({ fileName }) => /^\.\/[\w-]+\.ts$/.test(fileName))
    .map(({ fileName }) => join(dirname(path), fileName))
    .filter((helper) => existsSync(helper));
}

/** `it` of `it.each(…)(…)`. */
function rootOf(node: ts.Expression): string {
  if (ts.isIdentifier(node)) return node.text;
  if (ts.isPropertyAccessExpression(node) || ts.isCallExpression(node)) return rootOf(node.expression);
  return '';
}

function isCalled(node: ts.Node): boolean {
  return ts.isCallExpression(node.parent) && node.parent.expression === node;
}

function patternOf(title: ts.Expression): RegExp {
  const source = partsOf(title).flatMap((part) => {
    if (part === undefined) return ['.*'];
    // Every other piece is a placeholder.
    return part
      .split(PLACEHOLDER)
      .map((piece, index) => (index % 2 === 0 ? RegExp.escape(piece) : patternOfValue(piece)));
  });
  return new RegExp(`^${source.join('')}$`, 's');
}

/** The texts of a name; undefined for what is not written there. */
function partsOf(title: ts.Expression): (string | undefined)[] {
  if (ts.isStringLiteralLike(title)) return [title.text];
  if (!ts.isTemplateExpression(title)) return [undefined];
  return [title.head.text, ...title.templateSpans.flatMap(({ literal }) => [undefined, literal.text])];
}
