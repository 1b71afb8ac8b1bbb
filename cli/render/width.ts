// How many columns of a terminal a text takes.
import { eastAsianWidth } from 'get-east-asian-width';

const PRINTABLE_ASCII = /^[ -~]*$/;

/** Made for the first text that is not ASCII: to make them takes as long as to load a command. */
function makeRules(): { graphemes: Intl.Segmenter; invisible: RegExp; emoji: RegExp } {
  return {
    graphemes: new Intl.Segmenter(),
    invisible: new RegExp(String.raw`^[\p{Default_Ignorable_Code_Point}\p{Control}\p{Format}\p{Mark}]+$`, 'v'),
    emoji: new RegExp(String.raw`^(\p{RGI_Emoji}|\p{Regional_Indicator}|.\u{fe0f})`, 'v'),
  };
}
let rules: ReturnType<typeof makeRules> | undefined;

/** The columns of a text without control characters: wide characters and emoji take two, marks none. */
export function textWidth(text: string): number {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  const { graphemes, invisible, emoji } = (rules ??= makeRules());
  let columns = 0;
  for (const { segment } of graphemes.segment(text)) {
    if (invisible.test(segment)) continue;
    columns += emoji.test(segment) ? 2 : eastAsianWidth(segment.codePointAt(0) ?? 0);
  }
  return columns;
}
