// Characters that a terminal obeys instead of showing. A log line or a name may contain escape sequences that repaint the
// terminal or write to its clipboard, NUL, carriage returns that overwrite the line, and bidirectional marks that show a
// command in another order than it runs.

// First and last code point of each unsafe range.
const UNSAFE_RANGES: readonly (readonly [number, number])[] = [
  [0x00, 0x1f], // C0: escape, carriage return, NUL
  [0x7f, 0x9f], // DEL, C1: 0x9b is an escape sequence in one character
  [0x061c, 0x061c], // Arabic letter mark
  [0x200e, 0x200f], // left-to-right and right-to-left mark
  [0x2028, 0x202e], // line and paragraph separator, bidirectional embeddings and overrides
  [0x2066, 0x2069], // bidirectional isolates
  [0xd800, 0xdfff], // halves of surrogate pairs
  [0xfeff, 0xfeff], // byte order mark
  [0xfff9, 0xfffb], // interlinear annotations
];

const UNSAFE = new RegExp(
  `[${UNSAFE_RANGES.map((range) => range.map((code) => `\\u{${code.toString(16)}}`).join('-')).join('')}]`,
  'gu',
);

/** The text with each character that a terminal may obey instead of showing it as `escape` writes it. */
export function escapeUnsafe(text: string, escape: (character: string, code: number) => string): string {
  return text.replace(UNSAFE, (character) => escape(character, character.codePointAt(0) ?? 0));
}

/**
 * JSON as JSON.stringify writes it, with unsafe characters as `\u` escapes: a parser reads the same values.
 */
export function safeJson(json: string): string {
  return escapeUnsafe(json, (character, code) =>
    // In JSON only the line ends between its parts occur unescaped.
    character === '\n' ? character : `\\u${code.toString(16).padStart(4, '0')}`,
  );
}
