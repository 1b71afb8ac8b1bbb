// "Did you mean": the nearest of a list of known words, for typos in settings and options.
import { distance } from 'fastest-levenshtein';

/** The known word that `word` was probably meant to be; undefined when none is near enough. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const ranked = known.map((candidate) => ({
    candidate,
    slips: distance(wanted, candidate.toLowerCase()),
    // Of two that are as near, the one of the same length: two swapped letters count as two slips.
    longer: Math.abs(candidate.length - word.length),
  }));
  const [best] = ranked.sort((a, b) => a.slips - b.slips || a.longer - b.longer);
  // A third of the length: one slip in a short word, a few in a long one, and never something unrelated.
  const isNear = best !== undefined && best.slips <= Math.max(1, Math.ceil(wanted.length / 3));
  return isNear ? best.candidate : undefined;
}

/** `; did you mean "x"?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const suggestion = nearest(word, known);
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}
