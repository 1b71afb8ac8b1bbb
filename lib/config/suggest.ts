// "Did you mean": finds the closest known word, for typos in settings and options.
import { distance } from 'fastest-levenshtein';

/** The known word closest to `word`; undefined when none is close enough. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const wanted = word.toLowerCase();
  const ranked = known.map((candidate) => ({
    candidate,
    edits: distance(wanted, candidate.toLowerCase()),
    // Ties go to the same length, because two swapped letters count as two edits.
    lengthDifference: Math.abs(candidate.length - word.length),
  }));
  const [best] = ranked.sort((a, b) => a.edits - b.edits || a.lengthDifference - b.lengthDifference);
  // A third of the length allows one typo in a short word and a few in a long one, but no unrelated word.
  const isNear = best !== undefined && best.edits <= Math.max(1, Math.ceil(wanted.length / 3));
  return isNear ? best.candidate : undefined;
}

/** `; did you mean "x"?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const suggestion = nearest(word, known);
  return suggestion === undefined ? '' : `; did you mean "${suggestion}"?`;
}
