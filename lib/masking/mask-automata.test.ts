import { describe, expect, it } from 'vitest';
import { automataOf } from './mask-automata.ts';
import { Automaton } from './mask-automaton.ts';

/** Where a pattern ends in `text`, and the length of the longest such pattern. */
function found(patterns: readonly string[], text: string): [number, number][] {
  const automaton = new Automaton(patterns.map((pattern) => Buffer.from(pattern)));
  let state = 0;
  const ends: [number, number][] = [];
  for (const [index, byte] of Buffer.from(text).entries()) {
    state = automaton.step(state, byte);
    const length = automaton.longestMatch(state);
    if (length > 0) ends.push([index + 1, length]);
  }
  return ends;
}

describe('automaton', () => {
  it('finds the same random patterns as a plain search', () => {
    let seed = 7;
    const random = (below: number) => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const word = (length: number) => Array.from({ length }, () => 'abc'[random(3)]).join('');
    for (let round = 0; round < 200; round += 1) {
      const patterns = Array.from({ length: 1 + random(8) }, () => word(1 + random(7)));
      const text = word(60);
      const expected: [number, number][] = [];
      for (let end = 1; end <= text.length; end += 1) {
        const lengths = patterns.filter((pattern) => text.slice(0, end).endsWith(pattern)).map(({ length }) => length);
        if (lengths.length > 0) expected.push([end, Math.max(...lengths)]);
      }
      expect(found(patterns, text), patterns.join(' ')).toEqual(expected);
    }
  });
});

describe('automata', () => {
  it('are built once for the same values, and differ for others', () => {
    const first = automataOf(['correct-horse', 'battery'], 'anything');
    expect(automataOf(['correct-horse', 'battery'], 'anything')).toBe(first);
    expect(automataOf(['correct-horsebattery'], 'anything')).not.toBe(first);
  });

  it('reject too many bytes of values, also from the cache', () => {
    const large = ['x'.repeat(70_000)];
    for (const _ of [1, 2])
      expect(() => automataOf(large, 'anything')).toThrowError(
        expect.objectContaining({ code: 'SENSITIVE_TOO_LARGE' }),
      );
  });
});
