// Escapes control characters in text from other machines, so that a terminal shows them and does not obey them.
import { escapeUnsafe } from '../../lib/text/unsafe-text.ts';

function escaped(code: number): string {
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** The text with everything a terminal would obey, except tabs, as escapes: `\x1b`, `\u202e`. */
export function escapeText(text: string): string {
  return escapeUnsafe(text, (character, code) => (character === '\t' ? character : escaped(code)));
}
