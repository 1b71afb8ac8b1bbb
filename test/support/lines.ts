// Whole lines of a log: the parts of open ones put together.

/** The texts of the whole lines of one stream of a log. */
export function wholeLines(lines: readonly { readonly text: string; readonly ending: string }[]): string[] {
  const whole: string[][] = [[]];
  for (const { text, ending } of lines) {
    whole.at(-1)!.push(text);
    if (!/^open$/i.test(ending)) whole.push([]);
  }
  return whole.filter((parts) => parts.length > 0).map((parts) => parts.join(''));
}
