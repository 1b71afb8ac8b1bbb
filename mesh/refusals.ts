// What this node has refused: kept for the server, which makes an audit event of each. Whoever is refused again and again
// costs one entry in ten minutes, and all of them together no more than the list holds.
import { LRUCache } from 'lru-cache';
import { errorCatalogue, type ErrorCode, type IsthmusError } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';

export interface Refusal {
  /** Tells it apart from all others, so that it is recorded once however often it is reported. */
  readonly id: string;
  readonly code: ErrorCode;
  /** Who was refused: the node that its certificate or its link proves, else its address. */
  readonly by: string;
  /** The service, call or port it was refused. */
  readonly what: string;
  readonly detail: string;
  readonly atMs: number;
}

/** Kept until they are pushed out: a server that was away for a while still hears of the latest. */
export const refusalsKept = 32;
/** The same refusal of the same peer is one for so long. */
const sameForMs = 600_000;
const rememberedPeers = 1_000;
const longestDetail = 300;

/** Refusals by their nature; beside these, whatever the catalogue answers with 401 or 403. */
const alsoRefusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'HOP_LIMIT',
  'INNER_TLS',
  'PROTOCOL',
  'ROUTE_LOOP',
  'TICKET_ALREADY_USED',
  'URL_FORBIDDEN',
]);

/** Whether an error means that somebody was not allowed something, and not that something was down or misspelled. */
export function isRefusal({ code }: IsthmusError): boolean {
  const { http } = errorCatalogue[code];
  return http === 401 || http === 403 || alsoRefusals.has(code);
}

export class Refusals {
  readonly #latest: Refusal[] = [];
  readonly #seen = new LRUCache<string, true>({ max: rememberedPeers, ttl: sameForMs, noUpdateTTL: true });
  readonly #listeners = new Set<(refusal: Refusal) => void>();

  /** Notes that `by` was refused `what`; errors that are no refusals are passed over. */
  note(error: IsthmusError, by: string, what: string): void {
    if (!isRefusal(error)) return;
    const { code } = error;
    const key = JSON.stringify([code, by, what]);
    if (this.#seen.has(key)) return;
    this.#seen.set(key, true);
    const detail = error.message.slice(0, longestDetail).toWellFormed();
    const refusal: Refusal = { id: newId(), code, by, what, detail, atMs: Date.now() };
    this.#latest.push(refusal);
    if (this.#latest.length > refusalsKept) this.#latest.shift();
    for (const listener of this.#listeners) listener(refusal);
  }

  /** The latest, oldest first. */
  latest(): readonly Refusal[] {
    return [...this.#latest];
  }

  onNoted(listener: (refusal: Refusal) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
