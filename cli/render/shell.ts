// Quotes words of commands that are shown for copying.

/** The word as a shell reads it, quoted unless it has only letters, digits and characters of plain paths. */
export function shellWord(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
