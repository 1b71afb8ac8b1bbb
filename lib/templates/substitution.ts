// Substitutes variables: `#{Name}`, filters `#{Name | ToUpper}`, `#{if Name}…#{else}…#{/if}`, `#{unless
// Name}…#{/unless}`, `#{each x in List}…#{/each}` over a comma-separated list, and `##{` for a literal `#{`. Values may
// name other variables. Undefined names stay unchanged and are reported. The parser is parse.ts.
import { IsthmusError } from '../../contract/errors.ts';
import { parseTemplate, type TemplateNode } from './parse.ts';

/** Limit of values that name values that name values; more is a mistake. */
export const DEEPEST_NESTING = 50;
/** Limit of an expanded text, or of one variable's value. */
export const LARGEST_EXPANSION_BYTES = 10 * 1024 * 1024;

export type Variables = Readonly<Record<string, string>>;

export interface Substituted {
  readonly text: string;
  /** Used names that are not defined, sorted. */
  readonly undefinedNames: readonly string[];
}

/** Replaces every variable in `text`. Throws VARIABLE_CYCLE, VARIABLE_TOO_LARGE or VARIABLE_SYNTAX. */
export function substitute(text: string, variables: Variables): Substituted {
  const expansion = new Expansion(variables);
  const result = expansion.expand(parseTemplate(text), NO_LOOP);
  return { text: result, undefinedNames: expansion.undefinedNames() };
}

/** Replaces variables inside the values of the variables themselves. */
export function resolveVariables(variables: Variables): {
  readonly values: Record<string, string>;
  readonly undefinedNames: readonly string[];
} {
  const expansion = new Expansion(variables);
  const values = Object.fromEntries(Object.keys(variables).map((name) => [name, expansion.valueOf(name) ?? '']));
  return { values, undefinedNames: expansion.undefinedNames() };
}

/** Loop variables in scope, innermost last. */
type Loop = readonly { readonly name: string; readonly value: string }[];
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
  readonly #resolved = new Map<string, string>();
  readonly #resolving: string[] = [];
  readonly #undefined = new Set<string>();

  constructor(variables: Variables) {
    this.#variables = variables;
  }

  undefinedNames(): readonly string[] {
    return [...this.#undefined].sort();
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

  #lookUp(name: string, loop: Loop): string | undefined {
    return loop.findLast((scope) => scope.name === name)?.value ?? this.valueOf(name);
  }

  #expandInto(output: SizedText, nodes: readonly TemplateNode[], loop: Loop): void {
    for (const node of nodes) {
      if (node.kind === 'text') output.add(node.text);
      else if (node.kind === 'value') output.add(this.#filtered(node, loop));
      else if (node.kind === 'if') {
        const holds = isTrue(this.#lookUp(node.name, loop)) !== node.negated;
        this.#expandInto(output, holds ? node.then : node.otherwise, loop);
      } else {
        for (const value of listItems(this.#lookUp(node.list, loop))) {
          this.#expandInto(output, node.body, [...loop, { name: node.item, value }]);
        }
      }
    }
  }

  #filtered(node: TemplateNode & { readonly kind: 'value' }, loop: Loop): string {
    let value = this.#lookUp(node.name, loop);
    if (value === undefined) this.#undefined.add(node.name);
    for (const name of node.filters) {
      if (!Object.hasOwn(FILTERS, name)) {
        this.#undefined.add(`${node.name} | ${name}`);
        return node.source;
      }
      if (value !== undefined) value = FILTERS[name]!(value);
    }
    return value ?? node.source;
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
