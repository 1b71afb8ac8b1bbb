// Parses the variable syntax of substitution.ts into a tree. In a file any other `#{…}` is text, since package files
// contain other template languages; in the value of a variable it is an error.
import { IsthmusError } from '../../contract/errors.ts';

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'value';
      readonly name: string;
      readonly filters: readonly string[];
      readonly source: string;
      readonly line: number;
    }
  | {
      readonly kind: 'if';
      readonly name: string;
      readonly negated: boolean;
      readonly then: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    }
  | {
      readonly kind: 'each';
      readonly item: string;
      readonly list: string;
      readonly body: readonly TemplateNode[];
      /** The whole block. */
      readonly source: string;
      readonly line: number;
    }
  | Foreign;

/** A `#{` that begins no expression; what follows it is text. */
interface Foreign {
  readonly kind: 'foreign';
  /** The block that it seems to begin. */
  readonly block: BlockName | undefined;
  /** Says what it is, and what is wrong with it. */
  readonly what: string;
  readonly line: number;
}

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
const BLOCK_TAG = /^\s*(if|unless|each)(?:\s|$)/;
const CLOSE_TAG = /^\s*\/(if|unless|each)\s*$/;
const ELSE_TAG = /^\s*else\s*$/;

/** Tags are short; without a limit, a lone `#{` would search a large file to its end. */
const LONGEST_TAG = 1024;
const DEEPEST_BLOCKS = 50;
/** In one text; the rest is text that is not told of. */
const MOST_FOREIGN = 10_000;
/** What a message quotes of a text that is no expression. */
const LONGEST_QUOTE = 60;

const RIGHT_FORMS: Readonly<Record<BlockName, string>> = {
  if: 'it takes one name, as in #{if Name}',
  unless: 'it takes one name, as in #{unless Name}',
  each: 'it takes a name and a list, as in #{each x in List}',
};

/** An open block: its nodes, those before its `else`, and where it is. */
interface OpenBlock {
  readonly tag: Tag & { readonly kind: 'open' };
  readonly offset: number;
  readonly line: number;
  then: TemplateNode[] | undefined;
  nodes: TemplateNode[];
}

/** The tree of a file's text; VARIABLE_SYNTAX when blocks do not match. */
export function parseTemplate(text: string): readonly TemplateNode[] {
  return new Parsing(text).parse().nodes;
}

/** The tree of a variable's value; VARIABLE_SYNTAX also for a `#{` that begins no expression. */
export function parseValue(value: string): readonly TemplateNode[] {
  const { nodes, foreign } = new Parsing(value).parse();
  const [first] = foreign;
  if (first !== undefined) throw syntaxError(first.line, first.what);
  return nodes;
}

class Parsing {
  readonly #text: string;
  readonly #lines: LineCounter;
  readonly #root: TemplateNode[] = [];
  readonly #open: OpenBlock[] = [];
  readonly #foreign: Foreign[] = [];

  constructor(text: string) {
    this.#text = text;
    this.#lines = new LineCounter(text);
  }

  parse(): { readonly nodes: readonly TemplateNode[]; readonly foreign: readonly Foreign[] } {
    const text = this.#text;
    let plainFrom = 0;
    let searchFrom = 0;
    for (;;) {
      const start = text.indexOf('#{', searchFrom);
      if (start < 0) break;
      searchFrom = start + 2;
      if (start > plainFrom && text[start - 1] === '#') {
        this.#addText(text.slice(plainFrom, start - 1) + '#{');
        plainFrom = searchFrom;
        continue;
      }
      const found = tagAt(text, start);
      if (found === undefined && this.#foreign.length >= MOST_FOREIGN) continue;
      this.#addText(text.slice(plainFrom, start));
      const line = this.#lines.at(start);
      if (found === undefined) {
        this.#addForeign({ kind: 'foreign', line, ...foreignAt(text, start) });
      } else {
        this.#take(found.tag, { start, end: found.end, line });
        searchFrom = found.end;
      }
      plainFrom = searchFrom;
    }
    const unclosed = this.#open.at(-1);
    if (unclosed !== undefined) throw syntaxError(unclosed.line, `#{${unclosed.tag.block}} is never closed`);
    this.#addText(text.slice(plainFrom));
    return { nodes: this.#root, foreign: this.#foreign };
  }

  get #nodes(): TemplateNode[] {
    return this.#open.at(-1)?.nodes ?? this.#root;
  }

  #addText(text: string): void {
    if (text !== '') this.#nodes.push({ kind: 'text', text });
  }

  #addForeign(foreign: Foreign): void {
    this.#foreign.push(foreign);
    this.#nodes.push(foreign);
  }

  #take(tag: Tag, { start, end, line }: { readonly start: number; readonly end: number; readonly line: number }): void {
    const block = this.#open.at(-1);
    if (tag.kind === 'value') {
      this.#nodes.push({ ...tag, line });
    } else if (tag.kind === 'open') {
      if (this.#open.length >= DEEPEST_BLOCKS) {
        throw syntaxError(line, `blocks are nested deeper than ${DEEPEST_BLOCKS}`);
      }
      this.#open.push({ tag, offset: start, line, then: undefined, nodes: [] });
    } else if (tag.kind === 'else') {
      if (block === undefined || block.tag.block === 'each' || block.then !== undefined) {
        throw this.#mismatch(['if', 'unless'], line, '#{else} has no #{if} or #{unless}');
      }
      block.then = block.nodes;
      block.nodes = [];
    } else {
      if (block?.tag.block !== tag.block) {
        throw this.#mismatch([tag.block], line, `#{/${tag.block}} closes nothing`);
      }
      this.#open.pop();
      this.#nodes.push(closed(block, this.#text.slice(block.offset, end)));
    }
  }

  /** Names what was perhaps meant to begin the block, when there is something. */
  #mismatch(blocks: readonly BlockName[], line: number, what: string): IsthmusError {
    const meant = this.#foreign.findLast(({ block }) => block !== undefined && blocks.includes(block));
    return meant === undefined ? syntaxError(line, what) : syntaxError(meant.line, meant.what);
  }
}

/** Counts lines from 1, for offsets that only grow. */
class LineCounter {
  readonly #text: string;
  #line = 1;
  #nextBreak: number;

  constructor(text: string) {
    this.#text = text;
    this.#nextBreak = text.indexOf('\n');
  }

  at(offset: number): number {
    while (this.#nextBreak >= 0 && this.#nextBreak < offset) {
      this.#line += 1;
      this.#nextBreak = this.#text.indexOf('\n', this.#nextBreak + 1);
    }
    return this.#line;
  }
}

function closed(block: OpenBlock, source: string): TemplateNode {
  const { tag, line } = block;
  if (tag.block === 'each') return { kind: 'each', item: tag.item, list: tag.name, body: block.nodes, source, line };
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
  if (BLOCK_TAG.test(inside)) return undefined;
  const value = VALUE_TAG.exec(inside);
  if (value === null) return undefined;
  const filters = value[2]!
    .split('|')
    .map((filter) => filter.trim())
    .filter((filter) => filter !== '');
  return { kind: 'value', name: value[1]!, filters, source };
}

/** What is said of the `#{` at `start`: it is quoted up to its `}`, or as far as its line and no other `#{` go. */
function foreignAt(text: string, start: number): Pick<Foreign, 'block' | 'what'> {
  const [inside = ''] = /^(?:(?!#\{)[^}\r\n])*/.exec(text.slice(start + 2, start + LONGEST_TAG)) ?? [];
  const isClosed = text[start + 2 + inside.length] === '}';
  const block = BLOCK_TAG.exec(inside)?.[1] as BlockName | undefined;
  const source = quoted(`#{${inside}${isClosed ? '}' : ''}`);
  const wrong = !isClosed ? 'it has no } on its line' : block === undefined ? '' : RIGHT_FORMS[block];
  return { block, what: `not an expression: ${source}${wrong === '' ? '' : ` (${wrong})`}` };
}

function quoted(source: string): string {
  const short = source.length > LONGEST_QUOTE ? `${source.slice(0, LONGEST_QUOTE)}…` : source;
  return short.toWellFormed().replaceAll(/\p{Cc}/gu, '?');
}

/** The number of the line, from 1, in which `offset` is. */
export function lineAt(text: string, offset: number): number {
  return new LineCounter(text).at(offset);
}

function syntaxError(line: number, what: string): IsthmusError {
  return new IsthmusError('VARIABLE_SYNTAX', `line ${line}: ${what}`, { field: `line ${line}` });
}
