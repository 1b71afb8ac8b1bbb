// The automata of a set of sensitive values, built once however many scripts are given the same values: a step of a
// deployment runs on hundreds of machines, and building for long values takes a tenth of a second and megabytes.
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

/** Those in use by a stream stay with it; this bounds what is kept for the next one. */
const LARGEST_CACHE_BYTES = 64 * 1024 * 1024;
/** Values are not kept in memory for much longer than they are in use. */
const KEPT_MS = 10 * 60_000;

const built = new LRUCache<string, Automata>({
  maxSize: LARGEST_CACHE_BYTES,
  sizeCalculation: ({ exact, folded }) => exact.sizeBytes + folded.sizeBytes,
  ttl: KEPT_MS,
  ttlAutopurge: true,
  updateAgeOnGet: true,
});

/** Of this process alone, so that what the cache is looked up by tells nothing of the values. */
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
  const made = build(values, folding);
  built.set(key, made);
  return made;
}

function build(values: readonly string[], folding: Folding): Automata {
  const patterns = patternsOf(values, folding);
  return { exact: new Automaton(patterns.exact), folded: new Automaton(patterns.folded) };
}
