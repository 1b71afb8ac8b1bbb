// The sources that this node left because they were too slow, for its reports to the server.
import { newId } from '../../lib/ids.ts';
import type { OnSlowSource } from '../../lib/blobs/fetch.ts';
import { DenialLimiter } from '../../lib/net/denial-limiter.ts';
import type { AbandonedSource__Output } from '../../proto/gen/isthmus/topology/v1/AbandonedSource.ts';

/** The latest ones, kept for a server that is away. */
export const MOST_ABANDONED = 16;
/** A source that stays slow is told once in ten minutes. */
const ONCE = { perSource: 1, windowMs: 600_000, sources: 1_000 };

export class AbandonedSources {
  readonly #latest: AbandonedSource__Output[] = [];
  readonly #limiter = new DenialLimiter(ONCE);
  readonly #listeners = new Set<() => void>();

  readonly record: OnSlowSource = (node, { sha256, bytes, ms }) => {
    if (this.#limiter.admit(node) === 'suppressed') return;
    this.#latest.push({ id: newId(), node, sha256, bytes, ms, atMs: Date.now() });
    if (this.#latest.length > MOST_ABANDONED) this.#latest.shift();
    for (const listener of this.#listeners) listener();
  };

  /** Oldest first. */
  latest(): readonly AbandonedSource__Output[] {
    return [...this.#latest];
  }

  onRecorded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
