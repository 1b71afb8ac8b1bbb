// Fails where a retired word stands in a file name, an identifier, the wire contract, or a text of the product.
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

const SAY = new Map(RETIRED_WORDS.map(({ word, say }) => [word, say]));

/** Names of Vitest, Node.js and the DOM. */
const FOREIGN = new Set(['passWithNoTests', 'numPassedTests', 'PassThrough', 'bypass']);

/** The retired words of a name, after it is split at case changes, digits and punctuation. */
export function retiredIn(name: string): string[] {
  if (FOREIGN.has(name)) return [];
  const words = name.replace(/([a-z0-9])([A-Z])/g, '$1 $2').split(/[^A-Za-z]+/);
  return words.map((word) => word.toLowerCase()).filter((word) => SAY.has(word));
}

/** The retired words in the names and texts of one TypeScript source. */
export function findInSource(path: string, text: string): Finding[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const findings: Finding[] = [];
  const at = (node: ts.Node): string =>
    `${path}:${source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1}`;
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) {
      for (const found of retiredIn(node.text)) findings.push({ where: at(node), found, say: SAY.get(found) ?? '' });
    } else if (isText(node)) {
      findings.push(...findPhrases(node.text).map((finding) => ({ ...finding, where: at(node) })));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return findings;
}

function isText(node: ts.Node): node is ts.LiteralLikeNode {
  return (
    ts.isStringLiteralLike(node) || node.kind === ts.SyntaxKind.TemplateHead || ts.isTemplateMiddleOrTemplateTail(node)
  );
}

function findPhrases(text: string): Omit<Finding, 'where'>[] {
  return RETIRED_PHRASES.flatMap(({ phrase, say }) => {
    const [found] = phrase.exec(text) ?? [];
    return found === undefined ? [] : [{ found, say }];
  });
}

/** The wire contract: names of messages, fields, services and methods; comments are left out. */
function findInProto(path: string, text: string): Finding[] {
  return text
    .split('\n')
    .flatMap((line, index) =>
      (line.replace(/\/\/.*$/, '').match(/\w+/g) ?? [])
        .flatMap((name) => retiredIn(name))
        .map((found) => ({ where: `${path}:${index + 1}`, found, say: SAY.get(found) ?? '' })),
    );
}

function findAll(root: string): Finding[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const paths = listed.split('\n').filter((path) => path !== '' && existsSync(join(root, path)));
  return paths.flatMap((path) => {
    if (/^(proto\/gen|test\/boundaries\/planted)\//.test(path) || path.startsWith('build/retired-words')) return [];
    const named = retiredIn(path).map((found) => ({ where: path, found, say: SAY.get(found) ?? '' }));
    if (path.endsWith('.ts')) return [...named, ...findInSource(path, readFileSync(join(root, path), 'utf8'))];
    if (path.endsWith('.proto')) return [...named, ...findInProto(path, readFileSync(join(root, path), 'utf8'))];
    return named;
  });
}

if (import.meta.main) {
  const findings = findAll(join(import.meta.dirname, '..'));
  for (const { where, found, say } of findings) console.error(`${where}: “${found}” is retired; say ${say}`);
  if (findings.length > 0) process.exitCode = 1;
}
