// The variable syntax, form by form, and its limits.
import { describe, expect, test } from 'vitest';
import { resolveVariables, substitute } from './substitution.ts';

const text = (template: string, variables: Record<string, string> = {}): string => substitute(template, variables).text;

describe('substitution', () => {
  test('replaces values, also inside values', () => {
    expect(text('host=#{Host}:#{ Port }', { Host: 'web.#{Domain}', Domain: 'example', Port: '80' })).toBe(
      'host=web.example:80',
    );
  });

  test('leaves undefined names unchanged and reports them', () => {
    expect(substitute('a #{Nope} #{Nope | ToUpper} #{X | Rot13}', { X: '1' })).toEqual({
      text: 'a #{Nope} #{Nope | ToUpper} #{X | Rot13}',
      undefinedNames: ['Nope', 'X | Rot13'],
    });
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
    expect(text('#{A}', { A: '##{B}', B: 'no' })).toBe('#{B}');
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
    expect(() => text('#{A}', { A: '#{B}', B: '#{C}', C: 'x#{B}' })).toThrowError(
      expect.objectContaining({ code: 'VARIABLE_CYCLE', message: 'a variable needs its own value: B → C → B' }),
    );
    expect(() => resolveVariables({ A: '#{A}' })).toThrowError(expect.objectContaining({ code: 'VARIABLE_CYCLE' }));
  });

  test('50 levels are allowed, 51 are not', () => {
    const chain = (levels: number): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: levels }, (_, level) => [`V${level}`, level + 1 === levels ? 'end' : `#{V${level + 1}}`]),
      );
    expect(text('#{V0}', chain(50))).toBe('end');
    expect(() => text('#{V0}', chain(51))).toThrowError(expect.objectContaining({ code: 'VARIABLE_TOO_LARGE' }));
  });

  test('an exponential expansion is rejected before it fills the memory', () => {
    const variables = Object.fromEntries(
      Array.from({ length: 40 }, (_, level) => [`V${level}`, level === 39 ? 'x' : `#{V${level + 1}}#{V${level + 1}}`]),
    );
    expect(() => text('#{V0}', variables)).toThrowError(expect.objectContaining({ code: 'VARIABLE_TOO_LARGE' }));
    const empty = { ...variables, V39: '' };
    expect(text('#{V0}', empty)).toBe('');
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
    expect(resolveVariables({ A: '#{B}!', B: '1', C: '#{D}' })).toEqual({
      values: { A: '1!', B: '1', C: '#{D}' },
      undefinedNames: ['D'],
    });
  });
});
