import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineBreaks } from './line-breaks.ts';

test('counts back over line breaks like a byte-by-byte scan', () => {
  const byte = fc.constantFrom('x', 'x', '\n');
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 60 }), (text) => {
      const breaks = new LineBreaks();
      for (const [position, at] of text.entries()) if (at === '\n') breaks.add(position, 0);
      const starts = text.flatMap((at, position) => (at === 'x' ? [position] : [])).reverse();
      for (const [before, start] of starts.entries()) expect(breaks.startOf(before + 1, text.length)).toBe(start);
    }),
  );
});

test('drops positions that are not needed, and stays correct', () => {
  const breaks = new LineBreaks();
  for (let position = 0; position < 100_000; position += 2) {
    breaks.add(position, position - 100);
    // Every second byte is a break.
    if (position > 100) expect(breaks.startOf(10, position + 1)).toBe(position + 1 - 20);
  }
});
