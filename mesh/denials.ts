// What this node has denied to others. The server records each entry as a denial, and a file keeps the entries that a
// stopped node could not report. Repeated denials of one peer cost one entry in ten minutes, all denials
// together at most the length of the list, and the file one write a second.
import { join } from 'node:path';
import { ERROR_CATALOGUE, type ErrorCode, type IsthmusError } from '../contract/errors.ts';
import { HintFile, readHints } from '../lib/files/hint-file.ts';
import { newId } from '../lib/ids.ts';
import { DenialLimiter } from '../lib/net/denial-limiter.ts';
import type { Logger } from '../lib/telemetry/log.ts';
import type { DeniedStart } from './starts.ts';

export interface Denial {
  /** Unique, so that the server records it once however often it is reported. */
  readonly id: string;
  readonly code: ErrorCode;
  /** Who was denied: the node that its certificate or its link proves, else its address. */
  readonly by: string;
  /** The service, call or port that was denied. */
  readonly what: string;
  readonly detail: string;
  readonly atMs: number;
  /** Set where a second process of a node was denied. */
  readonly deniedStart?: DeniedStart | undefined;
}

/** The latest entries, kept for a server that is away. */
export const MAX_DENIALS = 32;
/** A repeated denial of the same peer counts as one for ten minutes. */
const ONCE = { perSource: 1, windowMs: 600_000, sources: 1_000 };
const MAX_DETAIL_CHARACTERS = 300;
const WRITE_INTERVAL_MS = 1_000;

/** Denials beside those that the catalogue answers with 401 or 403. */
const FURTHER_DENIALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ENVELOPE_EXPIRED',
  'ENVELOPE_KIND',
  'RATE_LIMITED',
  'HOP_LIMIT',
  'E2E_TLS',
  'PACKAGE_HASH_MISMATCH',
  'PROTOCOL',
  'ROUTE_LOOP',
  'TICKET_ALREADY_USED',
  'TICKET_TOO_OLD',
  'URL_FORBIDDEN',
]);

/** Whether an error means that the requester was not allowed something, rather than that something failed. */
export function isDenial({ code }: IsthmusError): boolean {
  const { http } = ERROR_CATALOGUE[code];
  return http === 401 || http === 403 || FURTHER_DENIALS.has(code);
}

export class Denials {
  readonly #latest: Denial[] = [];
  readonly #file: HintFile | undefined;
  readonly #limiter = new DenialLimiter(ONCE);
  readonly #listeners = new Set<(denial: Denial) => void>();

  /** Without a file, entries are in memory only. */
  constructor(file?: { readonly path: string; readonly log: Logger }) {
    if (file !== undefined)
      this.#file = new HintFile({ ...file, everyMs: WRITE_INTERVAL_MS, content: () => this.#latest });
  }

  /** The denials of a node, with those of its last run. An unreadable file counts as empty. */
  static open(dataDir: string, log: Logger): Denials {
    const path = join(dataDir, 'denials.json');
    const denials = new Denials({ path, log });
    for (const denial of readHints(path, isStoredDenials, log)?.slice(-MAX_DENIALS) ?? []) {
      denials.#limiter.admit(keyOf(denial));
      denials.#latest.push(denial);
    }
    return denials;
  }

  /** Writes what is not on disk yet. Idempotent. */
  close(): void {
    this.#file?.close();
  }

  /** Records that `by` was denied `what`. Errors that are not denials are ignored. */
  record(error: IsthmusError, by: string, what: string): void {
    if (isDenial(error)) this.#add(error, { by, what });
  }

  /** Records that a second process of a node was denied its link. */
  recordDeniedStart(error: IsthmusError, deniedStart: DeniedStart): void {
    this.#add(error, { by: deniedStart.node, what: 'link', deniedStart });
  }

  #add({ code, message }: IsthmusError, given: Pick<Denial, 'by' | 'what' | 'deniedStart'>): void {
    if (this.#limiter.admit(keyOf({ code, ...given })) === 'suppressed') return;
    const detail = message.slice(0, MAX_DETAIL_CHARACTERS).toWellFormed();
    const denial: Denial = { id: newId(), code, ...given, detail, atMs: Date.now() };
    this.#latest.push(denial);
    if (this.#latest.length > MAX_DENIALS) this.#latest.shift();
    this.#file?.changed();
    for (const listener of this.#listeners) listener(denial);
  }

  /** The latest, oldest first. */
  latest(): readonly Denial[] {
    return [...this.#latest];
  }

  onRecorded(listener: (denial: Denial) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function keyOf({ code, by, what, deniedStart }: Pick<Denial, 'code' | 'by' | 'what' | 'deniedStart'>): string {
  return JSON.stringify([code, by, what, deniedStart?.nonce]);
}

function isStoredDenials(value: unknown): value is readonly Denial[] {
  return Array.isArray(value) && value.every(isStoredDenial);
}

function isStoredDenial(value: unknown): value is Denial {
  if (typeof value !== 'object' || value === null) return false;
  const texts = ['id', 'code', 'by', 'what', 'detail'] as const;
  const fields = value as Record<string, unknown>;
  if (!texts.every((name) => typeof fields[name] === 'string') || typeof fields['atMs'] !== 'number') return false;
  return Object.hasOwn(ERROR_CATALOGUE, fields['code'] as string);
}
