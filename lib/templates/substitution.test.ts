// The variable syntax, form by form, and its limits.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { resolveVariables, substitute } from './substitution.ts';

const text = (template: string, variables: Record<string, string> = {}): string => substitute(template, variables).text;
const NO_LITERALS = new Set<string>();
/** The value of the variable `name` when the values are templates, except the `literals`. */
const resolved = (name: string, variables: Record<string, string>, ...literals: string[]): string =>
  resolveVariables(variables, new Set(literals)).values[name]!;

describe('substitution', () => {
  test('replaces values, which are text', () => {
    expect(text('host=#{Host}:#{ Port }', { Host: 'web.#{Port}', Port: '80' })).toBe('host=web.#{Port}:80');
    const anything = fc.oneof(fc.string(), fc.constantFrom('##{A}', '#{A}', '#{if A}', '#{/each}', '}#{'));
    fc.assert(fc.property(anything, (value) => text('<#{A}>', { A: value }) === `<${value}>`));
  });

  test('leaves undefined names and unknown filters unchanged, and reports each with its first line', () => {
    const left = 'a #{X}\n#{Nope} #{Nope | ToUpper}\n\n#{X | Rot13} #{Nope}\n#{each x in L}#{x | No} #{y}#{/each}';
    const { unresolved, text: after } = substitute(left, { X: '1', L: 'a,b' });
    expect(after).toBe('a 1\n#{Nope} #{Nope | ToUpper}\n\n#{X | Rot13} #{Nope}\n#{x | No} #{y}#{x | No} #{y}');
    expect(unresolved).toEqual([
      { name: 'Nope', line: 2 },
      { name: 'X', filter: 'Rot13', line: 4 },
      { name: 'x', filter: 'No', line: 5 },
      { name: 'y', line: 5 },
    ]);
  });

  test('tells which names a text took in, not those it only asks about', () => {
    const variables = { A: '1', B: 'yes', C: 'x,y', D: 'p,q', E: 'e', F: '' };
    const template =
      '#{A | ToUpper}#{if B}#{unless E}#{E}#{/unless}#{/if}#{each i in C}.#{i}#{/each}#{each j in D}-#{/each}';
    expect([...substitute(template, variables).usedNames].toSorted()).toEqual(['A', 'C']);
    expect(substitute('#{A | Rot13}', variables).usedNames).toEqual(new Set());
    const nested = '#{each x in C}#{each y in x}#{y}#{/each}#{/each}';
    expect(substitute(nested, variables).usedNames).toEqual(new Set(['C']));
  });

  test('does not reach into the prototype', () => {
    expect(text('#{constructor} #{__proto__} #{X | constructor}', { X: '1' })).toBe(
      '#{constructor} #{__proto__} #{X | constructor}',
    );
  });

  test('leaves other templates and lone openings unchanged', () => {
    const foreign = 'puts "#{foo + 1}" #{ #{} ${x} #{a b} # { end #{';
    expect(text(foreign)).toBe(foreign);
  });

  test('escapes', () => {
    expect(text('##{Name} #{Name}', { Name: 'v' })).toBe('#{Name} v');
    expect(resolved('A', { A: '##{B}', B: 'no' })).toBe('#{B}');
  });

  test('conditions', () => {
    const template = '#{if Debug}on#{else}off#{/if}#{unless Debug} quiet#{/unless}';
    expect(text(template, { Debug: 'true' })).toBe('on');
    for (const value of ['false', '', '0', 'No']) expect(text(template, { Debug: value })).toBe('off quiet');
    expect(text(template)).toBe('off quiet');
  });

  test('loops over a list, nested, with the variables around them', () => {
    expect(text('#{each h in Hosts}[#{h}:#{Port}]#{/each}', { Hosts: 'a, b,,c', Port: '1' })).toBe('[a:1][b:1][c:1]');
    expect(text('#{each x in A}#{each y in B}#{x}#{y} #{/each}#{/each}', { A: '1,2', B: 'a,b' })).toBe('1a 1b 2a 2b ');
    expect(text('#{each x in None}never#{/each}')).toBe('');
  });

  test('filters, one after the other', () => {
    const variables = { V: ' a"<b>&\'é ' };
    expect(text('#{V | Trim | ToUpper}', variables)).toBe('A"<B>&\'É');
    expect(text('#{V | Trim | HtmlEscape}', variables)).toBe('a&quot;&lt;b&gt;&amp;&#39;é');
    expect(text('#{V | Trim | XmlEscape}', variables)).toBe('a&quot;&lt;b&gt;&amp;&apos;é');
    expect(text('#{V | Trim | JsonEscape}', variables)).toBe('a\\"<b>&\'é');
    expect(text('#{V | Trim | UrlEncode}', variables)).toBe("a%22%3Cb%3E%26'%C3%A9");
    expect(text('#{V|Base64}', { V: 'hi' })).toBe('aGk=');
  });

  test('a cycle is named', () => {
    expect(() => resolved('A', { A: '#{B}', B: '#{C}', C: 'x#{B}' })).toThrowError(
      expect.objectContaining({ code: 'VARIABLE_CYCLE', message: 'a variable needs its own value: B → C → B' }),
    );
    expect(() => resolved('A', { A: '#{A}' })).toThrowError(expect.objectContaining({ code: 'VARIABLE_CYCLE' }));
  });

  test('50 levels are allowed, 51 are not', () => {
    const chain = (levels: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: levels }, (_, level) => [`V${level}`, level + 1 === levels ? 'end' : `#{V${level + 1}}`]),
      );
    expect(resolved('V0', chain(50))).toBe('end');
    expect(() => resolved('V0', chain(51))).toThrowError(expect.objectContaining({ code: 'VARIABLE_TOO_LARGE' }));
  });

  test('an exponential expansion is rejected before it fills the memory', () => {
    const variables = Object.fromEntries(
      Array.from({ length: 40 }, (_, level) => [`V${level}`, level === 39 ? 'x' : `#{V${level + 1}}#{V${level + 1}}`]),
    );
    expect(() => resolved('V0', variables)).toThrowError(expect.objectContaining({ code: 'VARIABLE_TOO_LARGE' }));
    expect(resolved('V0', { ...variables, V39: '' })).toBe('');
  });

  test('loops in loops that print nothing are rejected before they take the processor', () => {
    const loops = `${'#{each x in L}'.repeat(20)}${'#{/each}'.repeat(20)}`;
    expect(() => text(loops, { L: 'a,b,c,d' })).toThrowError(expect.objectContaining({ code: 'VARIABLE_TOO_LARGE' }));
  });

  test('unmatched blocks are reported with their line', () => {
    for (const [template, line] of [
      ['a\n#{if X}b', 2],
      ['#{/each}', 1],
      ['#{else}', 1],
      ['#{if X}\n#{each y in Z}\n#{/if}', 3],
      ['#{if X}#{else}#{else}#{/if}', 1],
    ] as const) {
      expect(() => text(template)).toThrowError(
        expect.objectContaining({ code: 'VARIABLE_SYNTAX', field: `line ${line}` }),
      );
    }
  });

  test('resolves the variables themselves', () => {
    expect(resolveVariables({ A: '#{B}!', B: '1', C: '#{D}' }, NO_LITERALS)).toEqual({
      values: { A: '1!', B: '1', C: '#{D}' },
      undefinedNames: ['D'],
    });
  });

  test('takes literals as they are, and others that name them once', () => {
    const variables = { Password: '#{Nope}##{x#{Password}', Url: 'db://#{Password}@#{Host}', Host: 'db-1' };
    expect(resolveVariables(variables, new Set(['Password']))).toEqual({
      values: { ...variables, Url: 'db://#{Nope}##{x#{Password}@db-1' },
      undefinedNames: [],
    });
    expect(resolved('A', { A: '#{A}' }, 'A')).toBe('#{A}');
  });
});
