// Errors of Isthmus: one class, whose codes are those of the catalogue. Users read `message`, `hop` and `remedy`; `cause`
// is for the log.
import { ERROR_CATALOGUE, type ErrorCode } from './error-catalogue.ts';
import type { RemedyAction } from './remedy-actions.ts';

export { ERROR_CATALOGUE, isErrorCode, type ErrorCode } from './error-catalogue.ts';
export { receivedAction, rejoining, type ListedKind, type RemedyAction } from './remedy-actions.ts';

interface ErrorContext {
  /** The node at which the error occurred. */
  readonly hop?: string | undefined;
  /** The wrong request or configuration field, as a path: `routes[0].via[1]`. */
  readonly field?: string | undefined;
  /** A more specific remedy than the catalogue's. */
  readonly remedy?: string | undefined;
  readonly action?: RemedyAction | undefined;
  readonly cause?: unknown;
}

/** An error with a stable code. Every error that leaves a module is one of these. */
export class IsthmusError extends Error {
  readonly code: ErrorCode;
  readonly hop: string | undefined;
  readonly field: string | undefined;
  readonly remedy: string;
  /** The remedy as data; `remedy` is its text, for clients that do not word it themselves. */
  readonly action: RemedyAction | undefined;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'IsthmusError';
    this.code = code;
    this.hop = context.hop;
    this.field = context.field;
    this.remedy = context.remedy ?? ERROR_CATALOGUE[code].remedy;
    this.action = context.action;
  }

  /** Gives any thrown value a code: itself when it has one, else `fallback` with the value as cause. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL', context: ErrorContext = {}): IsthmusError {
    if (thrown instanceof IsthmusError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new IsthmusError(fallback, message, { ...context, cause: thrown });
  }
}
