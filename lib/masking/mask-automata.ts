// Builds the automata of a set of sensitive values once for all scripts with the same values: a step of a deployment runs
// on hundreds of machines, and long values cost a tenth of a second and megabytes.
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { Automaton } from './mask-automaton.ts';
import { checkMaskable, patternsOf, type Folding } from './mask-patterns.ts';

export interface Automata {
  /** Sees every byte. */
  readonly exact: Automaton;
  /** Sees through line breaks. */
  readonly folded: Automaton;
}

/** Bounds the automata kept for later streams; a stream keeps the ones it uses. */
const LARGEST_CACHE_BYTES = 64 * 1024 * 1024;
/** Values stay in memory for only this long after their last use. */
const KEPT_MS = 10 * 60_000;

const built = new LRUCache<string, Automata>({
  maxSize: LARGEST_CACHE_BYTES,
  sizeCalculation: ({ exact, folded }) => exact.sizeBytes + folded.sizeBytes,
  ttl: KEPT_MS,
  ttlAutopurge: true,
  updateAgeOnGet: true,
});

/** Random per process, so that the cache keys reveal nothing about the values. */
const digestKey = randomBytes(32);

const none = build([], 'encodings');

/** The automata of `values`; SENSITIVE_TOO_SHORT or SENSITIVE_TOO_LARGE for values that cannot be masked. */
export function automataOf(values: readonly string[], folding: Folding): Automata {
  if (values.length === 0) return none;
  checkMaskable(values);
  const key = createHmac('sha256', digestKey)
    .update(JSON.stringify([folding, values]))
    .digest('base64');
  const before = built.get(key);
  if (before !== undefined) return before;
  const automata = build(values, folding);
  built.set(key, automata);
  return automata;
}

function build(values: readonly string[], folding: Folding): Automata {
  const patterns = patternsOf(values, folding);
  return { exact: new Automaton(patterns.exact), folded: new Automaton(patterns.folded) };
}
