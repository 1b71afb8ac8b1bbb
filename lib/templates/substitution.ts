// Substitutes variables: `#{Name}`, filters `#{Name | ToUpper}`, `#{if Name}…#{else}…#{/if}`, `#{unless
// Name}…#{/unless}`, `#{each x in List}…#{/each}` over a comma-separated list, and `##{` for a literal `#{`. Undefined
// names, unknown filters and what is no expression stay unchanged and are reported. The values of variables may be
// templates, too, but only once: what is resolved, and what is sensitive, is text. The parser is parse.ts.
import { IsthmusError } from '../../contract/errors.ts';
import { parseTemplate, parseValue, type TemplateNode } from './parse.ts';

/** Limit of values that name values that name values; more is a mistake. */
export const DEEPEST_NESTING = 50;
/** Limit of an expanded text, or of one variable's value. */
export const LARGEST_EXPANSION_BYTES = 10 * 1024 * 1024;

/** Each thing that is unresolved is told with so many of its lines. */
const MOST_LINES = 10;

/** Limit of loops in loops, which may print nothing. */
const MOST_STEPS = 1_000_000;

export type Variables = Readonly<Record<string, string>>;

export interface Substituted {
  readonly text: string;
  /** Names whose values are in the text; not those of a mere condition. */
  readonly usedNames: ReadonlySet<string>;
  /** What stays in the text as it was, each once, in the order of the lines. */
  readonly unresolved: readonly Unresolved[];
}

/** What has no value: a name or a list that is not defined, a filter that does not exist, or no expression at all. */
export interface Unresolved {
  readonly kind: 'unresolved' | 'unknown-filter' | 'not-expression';
  /** The name; with its filter when that is what does not exist. */
  readonly subject: string;
  /** A sentence for people. */
  readonly text: string;
  /** The first lines, from 1, in which it is. */
  readonly lines: readonly number[];
  /** Whether it is in other lines, too. */
  readonly hasMore: boolean;
}

/** Replaces every variable in `text` by its value, which is text. Throws VARIABLE_TOO_LARGE or VARIABLE_SYNTAX. */
export function substitute(text: string, values: Variables): Substituted {
  const expansion = new Expansion(values, () => true);
  const result = expansion.expand(parseTemplate(text), NO_LOOP);
  return { text: result, usedNames: expansion.usedNames, unresolved: expansion.unresolved() };
}

/**
 * Replaces variables inside the values of the variables themselves, except in those of `literals`, which are text.
 * Throws VARIABLE_CYCLE, VARIABLE_TOO_LARGE or VARIABLE_SYNTAX.
 */
export function resolveVariables(
  variables: Variables,
  literals: ReadonlySet<string>,
): { readonly values: Record<string, string>; readonly undefinedNames: readonly string[] } {
  const expansion = new Expansion(variables, (name) => literals.has(name));
  const values = Object.fromEntries(Object.keys(variables).map((name) => [name, expansion.valueOf(name) ?? '']));
  const names = new Set(expansion.unresolved().map(({ subject }) => subject));
  return { values, undefinedNames: [...names].toSorted() };
}

/** A loop variable: an item of the variable `list`. */
interface LoopVariable {
  readonly name: string;
  readonly value: string;
  readonly list: string;
}

/** Loop variables in scope, innermost last. */
type Loop = readonly LoopVariable[];
const NO_LOOP: Loop = [];

type Filter = (value: string) => string;

const FILTERS: Readonly<Record<string, Filter>> = {
  ToUpper: (value) => value.toUpperCase(),
  ToLower: (value) => value.toLowerCase(),
  Trim: (value) => value.trim(),
  HtmlEscape: (value) => escapeMarkup(value, '&#39;'),
  XmlEscape: (value) => escapeMarkup(value, '&apos;'),
  JsonEscape: (value) => JSON.stringify(value).slice(1, -1),
  UrlEncode: (value) => encodeURIComponent(Buffer.from(value).toString()),
  Base64: (value) => Buffer.from(value).toString('base64'),
};

function escapeMarkup(value: string, apostrophe: string): string {
  return value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", apostrophe);
}

class Expansion {
  readonly #variables: Variables;
  readonly #isLiteral: (name: string) => boolean;
  readonly #resolved = new Map<string, string>();
  readonly #resolving: string[] = [];
  /** By their sentences. */
  readonly #unresolved = new Map<string, Omit<Unresolved, 'lines' | 'hasMore'> & { readonly lines: Set<number> }>();
  readonly usedNames = new Set<string>();
  #steps = 0;

  constructor(variables: Variables, isLiteral: (name: string) => boolean) {
    this.#variables = variables;
    this.#isLiteral = isLiteral;
  }

  unresolved(): readonly Unresolved[] {
    const found = [...this.#unresolved.values()].map((each) => {
      const lines = [...each.lines].toSorted((a, b) => a - b);
      return { ...each, lines: lines.slice(0, MOST_LINES), hasMore: lines.length > MOST_LINES };
    });
    return found.toSorted((a, b) => a.lines[0]! - b.lines[0]!);
  }

  expand(nodes: readonly TemplateNode[], loop: Loop): string {
    const sized = new SizedText(this.#resolving.at(-1));
    this.#expandInto(sized, nodes, loop);
    return sized.toString();
  }

  /** The value with its variables replaced; undefined when there is no such variable. */
  valueOf(name: string): string | undefined {
    const known = this.#resolved.get(name);
    if (known !== undefined) return known;
    if (!Object.hasOwn(this.#variables, name)) return undefined;
    if (this.#isLiteral(name)) return this.#variables[name];
    const cycleStart = this.#resolving.indexOf(name);
    if (cycleStart >= 0) {
      const cycle = [...this.#resolving.slice(cycleStart), name].join(' → ');
      throw new IsthmusError('VARIABLE_CYCLE', `a variable needs its own value: ${cycle}`, { field: name });
    }
    if (this.#resolving.length >= DEEPEST_NESTING) {
      throw new IsthmusError('VARIABLE_TOO_LARGE', `variables are nested deeper than ${DEEPEST_NESTING} levels`, {
        field: name,
      });
    }
    this.#resolving.push(name);
    const value = this.expand(parseValue(this.#variables[name]!), NO_LOOP);
    this.#resolving.pop();
    this.#resolved.set(name, value);
    return value;
  }

  #lookUp(name: string, loop: Loop): { readonly value: string | undefined; readonly from: string } {
    const item = loop.findLast((each) => each.name === name);
    return item === undefined ? { value: this.valueOf(name), from: name } : { value: item.value, from: item.list };
  }

  #expandInto(output: SizedText, nodes: readonly TemplateNode[], loop: Loop): void {
    for (const node of nodes) {
      this.#steps += 1;
      if (this.#steps > MOST_STEPS) {
        throw new IsthmusError('VARIABLE_TOO_LARGE', `variables take more than ${MOST_STEPS} steps to expand`);
      }
      if (node.kind === 'text') output.add(node.text);
      else if (node.kind === 'value') output.add(this.#filtered(node, loop));
      else if (node.kind === 'if') {
        const holds = isTrue(this.#lookUp(node.name, loop).value) !== node.negated;
        this.#expandInto(output, holds ? node.then : node.otherwise, loop);
      } else if (node.kind === 'each') this.#repeat(output, node, loop);
      else {
        this.#leave('not-expression', '', node.what, node.line);
        output.add('#{');
      }
    }
  }

  #repeat(output: SizedText, node: TemplateNode & { readonly kind: 'each' }, loop: Loop): void {
    const { item, list, body, source, line } = node;
    const { value: items, from } = this.#lookUp(list, loop);
    if (items === undefined) {
      const text = `${list} has no value: #{each ${item} in ${list}} stays as it is, with its block`;
      this.#leave('unresolved', list, text, line);
      output.add(source);
      return;
    }
    for (const value of listItems(items)) {
      this.#expandInto(output, body, [...loop, { name: item, value, list: from }]);
    }
  }

  #filtered(node: TemplateNode & { readonly kind: 'value' }, loop: Loop): string {
    const { name, filters, source, line } = node;
    const { value, from } = this.#lookUp(name, loop);
    if (value === undefined) this.#leave('unresolved', name, `#{${name}} has no value and stays as it is`, line);
    const unknown = filters.find((filter) => !Object.hasOwn(FILTERS, filter));
    if (unknown !== undefined) {
      const subject = `${name} | ${unknown}`;
      this.#leave('unknown-filter', subject, `there is no filter ${unknown}: #{${subject}} stays as it is`, line);
    }
    if (value === undefined || unknown !== undefined) return source;
    this.usedNames.add(from);
    return filters.reduce((text, filter) => FILTERS[filter]!(text), value);
  }

  #leave(kind: Unresolved['kind'], subject: string, text: string, line: number): void {
    const known = this.#unresolved.get(text);
    if (known === undefined) this.#unresolved.set(text, { kind, subject, text, lines: new Set([line]) });
    else if (known.lines.size <= MOST_LINES) known.lines.add(line);
  }
}

/** Text with a size limit, so that a few short values cannot fill the memory. */
class SizedText {
  readonly #field: string | undefined;
  readonly #parts: string[] = [];
  #bytes = 0;

  constructor(field: string | undefined) {
    this.#field = field;
  }

  add(part: string): void {
    if (part.length === 0) return;
    this.#bytes += Buffer.byteLength(part);
    if (this.#bytes > LARGEST_EXPANSION_BYTES) {
      throw new IsthmusError('VARIABLE_TOO_LARGE', `variables expand to more than ${LARGEST_EXPANSION_BYTES} bytes`, {
        field: this.#field,
      });
    }
    this.#parts.push(part);
  }

  toString(): string {
    return this.#parts.join('');
  }
}

/** False for unset, empty, `false`, `no` and `0`. */
function isTrue(value: string | undefined): boolean {
  return value !== undefined && !['', 'false', 'no', '0'].includes(value.trim().toLowerCase());
}

function listItems(value: string): string[] {
  return value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
