// Substitutes variables: `#{Name}`, filters `#{Name | ToUpper}`, `#{if Name}…#{else}…#{/if}`, `#{unless
// Name}…#{/unless}`, `#{each x in List}…#{/each}` over a comma-separated list, and `##{` for a literal `#{`. Undefined
// names and unknown filters stay unchanged and are reported. The values of variables may be templates, too, but only
// once: what is resolved, and what is sensitive, is text. The parser is parse.ts.
import { IsthmusError } from '../../contract/errors.ts';
import { lineAt, parseTemplate, type TemplateNode } from './parse.ts';

/** Limit of values that name values that name values; more is a mistake. */
export const DEEPEST_NESTING = 50;
/** Limit of an expanded text, or of one variable's value. */
export const LARGEST_EXPANSION_BYTES = 10 * 1024 * 1024;

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

/** A name that is not defined or, with `filter`, a filter that does not exist. */
export interface Unresolved {
  readonly name: string;
  readonly filter?: string;
  /** The first line, from 1, in which it is. */
  readonly line: number;
}

/** Replaces every variable in `text` by its value, which is text. Throws VARIABLE_TOO_LARGE or VARIABLE_SYNTAX. */
export function substitute(text: string, values: Variables): Substituted {
  const expansion = new Expansion(values, () => true);
  const result = expansion.expand(parseTemplate(text), NO_LOOP);
  const unresolved = expansion.unresolved().map(({ name, filter, offset }) => ({
    ...{ name, line: lineAt(text, offset) },
    ...(filter === undefined ? {} : { filter }),
  }));
  return { text: result, usedNames: expansion.usedNames, unresolved };
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
  const names = expansion.unresolved().map(({ name, filter }) => (filter === undefined ? name : `${name} | ${filter}`));
  return { values, undefinedNames: names.toSorted() };
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

interface UnresolvedTag {
  readonly name: string;
  readonly filter: string | undefined;
  readonly offset: number;
}

class Expansion {
  readonly #variables: Variables;
  readonly #isLiteral: (name: string) => boolean;
  readonly #resolved = new Map<string, string>();
  readonly #resolving: string[] = [];
  /** By name and filter. */
  readonly #unresolved = new Map<string, UnresolvedTag>();
  readonly usedNames = new Set<string>();
  #steps = 0;

  constructor(variables: Variables, isLiteral: (name: string) => boolean) {
    this.#variables = variables;
    this.#isLiteral = isLiteral;
  }

  unresolved(): readonly UnresolvedTag[] {
    return [...this.#unresolved.values()].toSorted((a, b) => a.offset - b.offset);
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
    const value = this.expand(parseTemplate(this.#variables[name]!), NO_LOOP);
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
      } else {
        const { value: list, from } = this.#lookUp(node.list, loop);
        for (const value of listItems(list)) {
          this.#expandInto(output, node.body, [...loop, { name: node.item, value, list: from }]);
        }
      }
    }
  }

  #filtered(node: TemplateNode & { readonly kind: 'value' }, loop: Loop): string {
    const { value, from } = this.#lookUp(node.name, loop);
    if (value === undefined) this.#leave(node);
    const unknown = node.filters.find((filter) => !Object.hasOwn(FILTERS, filter));
    if (unknown !== undefined) this.#leave(node, unknown);
    if (value === undefined || unknown !== undefined) return node.source;
    this.usedNames.add(from);
    return node.filters.reduce((text, filter) => FILTERS[filter]!(text), value);
  }

  #leave({ name, offset }: { readonly name: string; readonly offset: number }, filter?: string): void {
    const key = filter === undefined ? name : `${name}|${filter}`;
    const known = this.#unresolved.get(key);
    if (known === undefined || offset < known.offset) this.#unresolved.set(key, { name, filter, offset });
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

function listItems(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
