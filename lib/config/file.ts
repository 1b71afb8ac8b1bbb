// Reads a settings file as strict YAML: one document, no duplicate keys, aliases, anchors or tags. Every value keeps its
// line, so that an error can name file, line and key.
import {
  isAlias,
  isNode,
  isPair,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml';
import { IsthmusError } from '../../contract/errors.ts';

export interface SettingsFile {
  /** Its name in errors. */
  readonly name: string;
  readonly value: unknown;
  /** The line of the value at a path, or of the nearest enclosing one that is in the file. */
  lineOf(path: readonly string[]): number;
}

function reject(file: string, line: number, what: string, key?: string): never {
  throw new IsthmusError('CONFIG_INVALID', `${file}:${line}: ${what}`, { field: key });
}

/** YAML's aliases hide a value in another part of the file, and can expand to gigabytes; tags run constructors. */
function rejectIndirection(document: Document, file: string, lines: LineCounter): void {
  visit(document, (_key, node) => {
    if (!isNode(node)) return;
    const line = lines.linePos(node.range?.[0] ?? 0).line;
    if (isAlias(node)) reject(file, line, `the alias *${node.source} is not allowed: write the value out`);
    if (node.anchor !== undefined) reject(file, line, `the anchor &${node.anchor} is not allowed: write the value out`);
    if (node.tag !== undefined && !node.tag.startsWith('tag:yaml.org,2002:')) {
      reject(file, line, `the tag ${node.tag} is not allowed`);
    }
  });
}

function keyNode(document: Document, path: readonly string[]): Node | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (typeof parent !== 'object' || parent === null || !('items' in parent) || !Array.isArray(parent.items))
    return undefined;
  for (const item of parent.items as readonly unknown[]) {
    if (isPair(item) && isNode(item.key) && String(item.key) === path.at(-1)) return item.key;
  }
  return undefined;
}

/** The parser's error in words for users. */
function reason({ code, message }: YAMLError): string {
  if (code === 'MULTIPLE_DOCS') return 'a second document begins here: settings are one document';
  if (message.startsWith('Maximum call stack')) return 'this is nested too deeply';
  return message;
}

/** Parses `text`; throws CONFIG_INVALID with file, line and key when it is not strict YAML. */
export function parseSettings(text: string, file: string): SettingsFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true, prettyErrors: false });
  const problem = document.errors[0] ?? document.warnings[0];
  if (problem !== undefined) {
    const { line } = lines.linePos(problem.pos[0]);
    const duplicate = problem.code === 'DUPLICATE_KEY';
    const key = duplicate ? /^[^\s:]+/.exec(text.slice(problem.pos[0]))?.[0] : undefined;
    reject(file, line, duplicate ? `the key "${key}" is duplicated` : reason(problem), key);
  }
  rejectIndirection(document, file, lines);
  return {
    name: file,
    value: document.toJS({ maxAliasCount: 0 }) ?? {},
    lineOf(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const part = path.slice(0, length).map((key) => (/^\d+$/.test(key) ? Number(key) : key));
        const node = keyNode(document, path.slice(0, length)) ?? document.getIn(part, true);
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
      }
      return 1;
    },
  };
}
