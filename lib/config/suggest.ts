// "Did you mean": the nearest of a list of known words, for typos in settings and options.
import { closest, distance } from 'fastest-levenshtein';

/** The known word that `word` was probably meant to be; undefined when none is near enough. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const wanted = word.toLowerCase();
  const best = closest(
    wanted,
    known.map((candidate) => candidate.toLowerCase()),
  );
  // A third of the length: one slip in a short word, a few in a long one, and never something unrelated.
  const isNear = distance(wanted, best) <= Math.max(1, Math.ceil(wanted.length / 3));
  return isNear ? known.find((candidate) => candidate.toLowerCase() === best) : undefined;
}

/** `; did you mean "x"?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const suggestion = nearest(word, known);
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}
