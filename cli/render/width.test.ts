// The columns of a text, as terminals show it.
import { expect, it } from 'vitest';
import { textWidth } from './width.ts';

it.each([
  ['ASCII', 'eu-pci-1', 8],
  ['nothing', '', 0],
  ['letters of Europe', 'Grüße', 5],
  ['a combining mark', 'e\u0301', 1],
  ['wide characters', '日本', 4],
  ['wide and narrow ones', 'eu 日本', 7],
  ['Hangul', '한국', 4],
  ['halfwidth kana', 'ｶﾅ', 2],
  ['an emoji', '🚀', 2],
  ['an emoji of several characters', '👩‍👩‍👧', 2],
  ['a flag', '🇩🇪', 2],
  ['a symbol in emoji style', '❤️', 2],
  ['a zero width space', 'a\u200bb', 2],
])('%s: %s', (_what, text, columns) => {
  expect(textWidth(text)).toBe(columns);
});
