// Parses the variable syntax of substitution.ts into a tree. Any other `#{…}` is plain text, since package files contain
// other template languages.
import { IsthmusError } from '../../contract/errors.ts';

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'value';
      readonly name: string;
      readonly filters: readonly string[];
      readonly source: string;
      readonly offset: number;
    }
  | {
      readonly kind: 'if';
      readonly name: string;
      readonly negated: boolean;
      readonly then: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | { readonly kind: 'each'; readonly item: string; readonly list: string; readonly body: readonly TemplateNode[] };

type Tag =
  | { readonly kind: 'value'; readonly name: string; readonly filters: readonly string[]; readonly source: string }
  | { readonly kind: 'open'; readonly block: BlockName; readonly name: string; readonly item: string }
  | { readonly kind: 'else' }
  | { readonly kind: 'close'; readonly block: BlockName };

type BlockName = 'if' | 'unless' | 'each';

const NAME = '[A-Za-z0-9_][A-Za-z0-9_.:\\[\\]-]*';
const VALUE_TAG = new RegExp(`^\\s*(${NAME})\\s*((?:\\|\\s*[A-Za-z0-9]+\\s*)*)$`);
const CONDITION_TAG = new RegExp(`^\\s*(if|unless)\\s+(${NAME})\\s*$`);
const EACH_TAG = new RegExp(`^\\s*each\\s+(${NAME})\\s+in\\s+(${NAME})\\s*$`);
const CLOSE_TAG = /^\s*\/(if|unless|each)\s*$/;
const ELSE_TAG = /^\s*else\s*$/;

/** Tags are short; without a limit, a lone `#{` would search a large file to its end. */
const LONGEST_TAG = 1024;
const DEEPEST_BLOCKS = 50;

/** An open block: its nodes, those before its `else`, and its offset for error messages. */
interface OpenBlock {
  readonly tag: Tag & { readonly kind: 'open' };
  readonly offset: number;
  then: TemplateNode[] | undefined;
  nodes: TemplateNode[];
}

/** The tree of `text`; VARIABLE_SYNTAX when blocks do not match. */
export function parseTemplate(text: string): readonly TemplateNode[] {
  if (!text.includes('#{')) return text === '' ? [] : [{ kind: 'text', text }];
  const root: TemplateNode[] = [];
  const open: OpenBlock[] = [];
  let plainFrom = 0;
  let searchFrom = 0;
  for (;;) {
    const start = text.indexOf('#{', searchFrom);
    if (start < 0) break;
    const nodes = open.at(-1)?.nodes ?? root;
    if (start > plainFrom && text[start - 1] === '#') {
      addText(nodes, text.slice(plainFrom, start - 1) + '#{');
      plainFrom = searchFrom = start + 2;
      continue;
    }
    const found = tagAt(text, start);
    if (found === undefined) {
      searchFrom = start + 2;
      continue;
    }
    addText(nodes, text.slice(plainFrom, start));
    plainFrom = searchFrom = found.end;
    takeTag(found.tag, { text, offset: start, root, open });
  }
  const unclosed = open.at(-1);
  if (unclosed !== undefined) throw mismatch(text, unclosed.offset, `#{${unclosed.tag.block}} is never closed`);
  addText(root, text.slice(plainFrom));
  return root;
}

interface Position {
  readonly text: string;
  readonly offset: number;
  readonly root: TemplateNode[];
  readonly open: OpenBlock[];
}

function takeTag(tag: Tag, { text, offset, root, open }: Position): void {
  const block = open.at(-1);
  if (tag.kind === 'value') {
    (block?.nodes ?? root).push({ ...tag, offset });
  } else if (tag.kind === 'open') {
    if (open.length >= DEEPEST_BLOCKS) throw mismatch(text, offset, `blocks are nested deeper than ${DEEPEST_BLOCKS}`);
    open.push({ tag, offset, then: undefined, nodes: [] });
  } else if (tag.kind === 'else') {
    if (block === undefined || block.tag.block === 'each' || block.then !== undefined) {
      throw mismatch(text, offset, '#{else} has no #{if} or #{unless}');
    }
    block.then = block.nodes;
    block.nodes = [];
  } else {
    if (block?.tag.block !== tag.block) throw mismatch(text, offset, `#{/${tag.block}} closes nothing`);
    open.pop();
    (open.at(-1)?.nodes ?? root).push(closed(block));
  }
}

function closed(block: OpenBlock): TemplateNode {
  const { tag } = block;
  if (tag.block === 'each') return { kind: 'each', item: tag.item, list: tag.name, body: block.nodes };
  const then = block.then ?? block.nodes;
  const otherwise = block.then === undefined ? [] : block.nodes;
  return { kind: 'if', name: tag.name, negated: tag.block === 'unless', then, otherwise };
}

function tagAt(text: string, start: number): { readonly tag: Tag; readonly end: number } | undefined {
  const close = text.slice(start, start + LONGEST_TAG).indexOf('}');
  if (close < 0) return undefined;
  const end = start + close + 1;
  const tag = parseTag(text.slice(start + 2, end - 1), text.slice(start, end));
  return tag === undefined ? undefined : { tag, end };
}

function parseTag(inside: string, source: string): Tag | undefined {
  const condition = CONDITION_TAG.exec(inside);
  if (condition !== null)
    return { kind: 'open', block: condition[1] as 'if' | 'unless', name: condition[2]!, item: '' };
  const each = EACH_TAG.exec(inside);
  if (each !== null) return { kind: 'open', block: 'each', name: each[2]!, item: each[1]! };
  const close = CLOSE_TAG.exec(inside);
  if (close !== null) return { kind: 'close', block: close[1] as BlockName };
  if (ELSE_TAG.test(inside)) return { kind: 'else' };
  const value = VALUE_TAG.exec(inside);
  if (value === null) return undefined;
  const filters = value[2]!
    .split('|')
    .map((filter) => filter.trim())
    .filter((filter) => filter !== '');
  return { kind: 'value', name: value[1]!, filters, source };
}

function addText(nodes: TemplateNode[], text: string): void {
  if (text !== '') nodes.push({ kind: 'text', text });
}

/** The number of the line, from 1, in which `offset` is. */
export function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line += 1;
  return line;
}

function mismatch(text: string, offset: number, what: string): IsthmusError {
  const line = lineAt(text, offset);
  return new IsthmusError('VARIABLE_SYNTAX', `line ${line}: ${what}`, { field: `line ${line}` });
}
