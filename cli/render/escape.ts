// Text that came from elsewhere, made safe to show. A log line may carry anything: escape sequences that repaint the
// terminal or write to its clipboard, NUL, carriage returns that overwrite what stands there, and bidirectional marks
// that show a command in another order than it runs. All of these are shown, not obeyed.

const tab = 0x09;

// First and last code point of each range that is not shown as it is.
const unsafeRanges: readonly (readonly [number, number])[] = [
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

function isUnsafe(code: number): boolean {
  return code !== tab && unsafeRanges.some(([first, last]) => code >= first && code <= last);
}

function escaped(code: number): string {
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** The text with everything a terminal would obey written as an escape: `\x1b`, `\u202e`. */
export function escapeText(text: string): string {
  let safe = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    safe += isUnsafe(code) ? escaped(code) : character;
  }
  return safe;
}
