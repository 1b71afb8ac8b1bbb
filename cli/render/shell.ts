// Words of commands that are shown for copying.

/** The word as a shell reads it back: quoted when it holds more than letters, digits and what stands in plain paths. */
export function shellWord(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
