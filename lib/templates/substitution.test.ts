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

  test('leaves undefined names and unknown filters unchanged, and reports each with its lines', () => {
    const left = 'a #{X}\n#{Nope} #{Nope | ToUpper}\n\n#{X | Rot13} #{Nope}\n#{each x in L}#{x | No} #{y}#{/each}';
    const { unresolved, text: after } = substitute(left, { X: '1', L: 'a,b' });
    expect(after).toBe('a 1\n#{Nope} #{Nope | ToUpper}\n\n#{X | Rot13} #{Nope}\n#{x | No} #{y}#{x | No} #{y}');
    const once = { hasMore: false };
    expect(unresolved).toEqual([
      { ...once, kind: 'unresolved', subject: 'Nope', text: '#{Nope} has no value and stays as it is', lines: [2, 4] },
      {
        ...{ ...once, kind: 'unknown-filter', subject: 'X | Rot13', lines: [4] },
        text: 'there is no filter Rot13: #{X | Rot13} stays as it is',
      },
      {
        ...{ ...once, kind: 'unknown-filter', subject: 'x | No', lines: [5] },
        text: 'there is no filter No: #{x | No} stays as it is',
      },
      { ...once, kind: 'unresolved', subject: 'y', text: '#{y} has no value and stays as it is', lines: [5] },
    ]);
  });

  test('tells at most ten lines of each', () => {
    const { unresolved } = substitute('#{A} #{B}\n'.repeat(11) + '#{C}\n'.repeat(10), {});
    expect(unresolved.map(({ subject, lines, hasMore }) => [subject, lines.length, hasMore])).toEqual([
      ['A', 10, true],
      ['B', 10, true],
      ['C', 10, false],
    ]);
  });

  test('leaves the block of an undefined list unchanged, and reports it', () => {
    const template = 'a\n#{each x in Lsit}[#{x}##{y}#{if x}1#{/if}]\n#{/each}\n#{each x in None}never#{/each}';
    const { text: after, unresolved, usedNames } = substitute(template, { None: '' });
    expect(after).toBe(template.replace('#{each x in None}never#{/each}', ''));
    expect(unresolved).toEqual([
      {
        ...{ kind: 'unresolved', subject: 'Lsit', lines: [2], hasMore: false },
        text: 'Lsit has no value: #{each x in Lsit} stays as it is, with its block',
      },
    ]);
    expect(usedNames).toEqual(new Set());
  });

  const foreign: [string, string][] = [
    ['#{Date | Format "yyyy"}', '#{Date | Format "yyyy"}'],
    ['#{Name | Bar-Baz}', '#{Name | Bar-Baz}'],
    ['#{Name | Foo(1)}', '#{Name | Foo(1)}'],
    ['#{Päss}', '#{Päss}'],
    ['#{My Name}', '#{My Name}'],
    ['#{}', '#{}'],
    ['#{Name', '#{Name (it has no } on its line)'],
    ['#{Name\n"}"', '#{Name (it has no } on its line)'],
    ['#{ #{Name}', '#{  (it has no } on its line)'],
    ['#{if Env == "prod"}x', '#{if Env == "prod"} (it takes one name, as in #{if Name})'],
    ['#{unless}', '#{unless} (it takes one name, as in #{unless Name})'],
    ['#{each x of L}', '#{each x of L} (it takes a name and a list, as in #{each x in List})'],
    [`#{"\u001b[2J${'x'.repeat(2000)}"}`, `#{"?[2J${'x'.repeat(53)}… (it has no } on its line)`],
  ];

  test.each(foreign)('leaves %j as it is and reports it; as a value it is an error', (source, told) => {
    const { text: after, unresolved } = substitute(`a\n${source}`, { Name: 'v', if: 'v' });
    expect(after).toBe(`a\n${source.replace('#{Name}', 'v')}`);
    const text = `not an expression: ${told}`;
    expect(unresolved).toEqual([{ kind: 'not-expression', subject: '', text, lines: [2], hasMore: false }]);
    expect(() => resolved('A', { A: `a\n${source}` })).toThrowError(
      expect.objectContaining({ code: 'VARIABLE_SYNTAX', message: `line 2: ${text}` }),
    );
    expect(resolved('A', { A: source }, 'A')).toBe(source);
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

  test('takes a text that is nothing but openings', () => {
    const openings = '#{'.repeat(1_100_000);
    const { text: after, unresolved } = substitute(openings, {});
    expect(after).toBe(openings);
    expect(unresolved).toMatchObject([{ text: 'not an expression: #{ (it has no } on its line)', lines: [1] }]);
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
    expect(text('#{each x in None}never#{/each}', { None: '' })).toBe('');
    expect(text('#{each x in L}#{each y in x}#{y}#{/each}#{/each}', { L: 'a,b' })).toBe('ab');
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

  test.each([
    ['#{if Env == "prod"}x#{/if}', '#{if Env == "prod"} (it takes one name, as in #{if Name})'],
    ['#{if a b}#{else}#{/if}', '#{if a b} (it takes one name, as in #{if Name})'],
    ['#{if A}#{unless !B}x#{/unless}#{/if}', '#{unless !B} (it takes one name, as in #{unless Name})'],
    ['#{each x of L}#{x}#{/each}', '#{each x of L} (it takes a name and a list, as in #{each x in List})'],
    ['#{if A\n#{/if}', '#{if A (it has no } on its line)'],
  ])('names the opening of %s', (template, told) => {
    expect(() => text(`\n${template}`)).toThrowError(
      expect.objectContaining({ code: 'VARIABLE_SYNTAX', message: `line 2: not an expression: ${told}` }),
    );
  });

  test('resolves the variables themselves', () => {
    expect(resolveVariables({ A: '#{B}!', B: '1', C: '#{D}' }, NO_LITERALS)).toEqual({
      values: { A: '1!', B: '1', C: '#{D}' },
      undefinedNames: ['D'],
    });
    expect(resolveVariables({ A: '#{each x in Lsit}#{x}#{/each}#{Lsit}#{if No}#{/if}' }, NO_LITERALS)).toMatchObject({
      undefinedNames: ['Lsit'],
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
