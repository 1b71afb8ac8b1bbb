// What this node has refused: kept for the server, which makes an audit event of each, in a file too, so that a node
// that is stopped before it could tell does so when it runs again. Whoever is refused again and again costs one entry
// in ten minutes, all of them together no more than the list holds, and the file one write a second.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue, IsthmusError, type ErrorCode } from '../lib/errors.ts';
import { newId } from '../lib/ids.ts';
import type { Logger } from '../lib/log.ts';
import { DenialLimiter } from '../lib/net/denial-limiter.ts';

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
const once = { perSource: 1, windowMs: 600_000, sources: 1_000 };
const longestDetail = 300;
const writeEveryMs = 1_000;

/** Refusals by their nature; beside these, whatever the catalogue answers with 401 or 403. */
const alsoRefusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ENVELOPE_EXPIRED',
  'ENVELOPE_KIND',
  'FLOOD',
  'HOP_LIMIT',
  'INNER_TLS',
  'PACKAGE_HASH_MISMATCH',
  'PROTOCOL',
  'ROUTE_LOOP',
  'TICKET_ALREADY_USED',
  'TICKET_TOO_OLD',
  'URL_FORBIDDEN',
]);

/** Whether an error means that somebody was not allowed something, and not that something was down or misspelled. */
export function isRefusal({ code }: IsthmusError): boolean {
  const { http } = errorCatalogue[code];
  return http === 401 || http === 403 || alsoRefusals.has(code);
}

interface RefusalFile {
  readonly path: string;
  readonly log: Logger;
}

export class Refusals {
  readonly #latest: Refusal[] = [];
  readonly #file: RefusalFile | undefined;
  #unwritten = false;
  #writeLater: NodeJS.Timeout | undefined;
  readonly #limiter = new DenialLimiter(once);
  readonly #listeners = new Set<(refusal: Refusal) => void>();

  /** Without a file they are forgotten with the process. */
  constructor(file?: RefusalFile) {
    this.#file = file;
  }

  /** Those of a node, with what it had not forgotten when it last ran. A file that cannot be read is passed over. */
  static open(dataDir: string, log: Logger): Refusals {
    const path = join(dataDir, 'refusals.json');
    const refusals = new Refusals({ path, log });
    for (const refusal of read(path, log)) {
      refusals.#limiter.admit(keyOf(refusal));
      refusals.#latest.push(refusal);
    }
    return refusals;
  }

  /** Writes down what is not yet. Idempotent. */
  close(): void {
    clearTimeout(this.#writeLater);
    this.#write();
  }

  /** Notes that `by` was refused `what`; errors that are no refusals are passed over. */
  note(error: IsthmusError, by: string, what: string): void {
    if (!isRefusal(error)) return;
    const { code } = error;
    if (this.#limiter.admit(keyOf({ code, by, what })) === 'untold') return;
    const detail = error.message.slice(0, longestDetail).toWellFormed();
    const refusal: Refusal = { id: newId(), code, by, what, detail, atMs: Date.now() };
    this.#latest.push(refusal);
    if (this.#latest.length > refusalsKept) this.#latest.shift();
    this.#unwritten = true;
    if (this.#writeLater === undefined) this.#write();
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

  /** Not synced: a power cut may cost the latest. */
  #write(): void {
    if (this.#file === undefined || !this.#unwritten) return;
    const { path, log } = this.#file;
    this.#unwritten = false;
    this.#writeLater = setTimeout(() => {
      this.#writeLater = undefined;
      this.#write();
    }, writeEveryMs).unref();
    try {
      writeFileSync(`${path}.new`, JSON.stringify(this.#latest), { mode: 0o600 });
      renameSync(`${path}.new`, path);
    } catch (err) {
      log.warn({ err }, 'refusals cannot be kept over a restart');
    }
  }
}

function keyOf({ code, by, what }: Pick<Refusal, 'code' | 'by' | 'what'>): string {
  return JSON.stringify([code, by, what]);
}

function read(path: string, log: Logger): readonly Refusal[] {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!Array.isArray(content) || !content.every(isOne))
      throw new IsthmusError('INTERNAL', 'it is no list of refusals');
    return content.slice(-refusalsKept);
  } catch (err) {
    const none = err instanceof Error && 'code' in err && err.code === 'ENOENT';
    if (!none) log.warn({ err, path }, 'earlier refusals cannot be read');
    return [];
  }
}

function isOne(value: unknown): value is Refusal {
  if (typeof value !== 'object' || value === null) return false;
  const texts = ['id', 'code', 'by', 'what', 'detail'] as const;
  const fields = value as Record<string, unknown>;
  if (!texts.every((name) => typeof fields[name] === 'string') || typeof fields['atMs'] !== 'number') return false;
  return Object.hasOwn(errorCatalogue, fields['code'] as string);
}
