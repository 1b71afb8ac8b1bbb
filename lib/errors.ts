// Errors of Isthmus: one class and one closed list of codes. Every code has a paragraph in docs/errors.md, and a test
// holds the two together. What a user reads is `message`, `hop` and `remedy`; `cause` is for the log.

interface CatalogueEntry {
  /** HTTP status of the problem document that carries this code. */
  readonly http: number;
  /** gRPC status number (https://grpc.io/docs/guides/status-codes/) that carries this code. */
  readonly grpc: number;
  /** What to do about it, as a sentence. */
  readonly remedy: string;
}

export const errorCatalogue = {
  INTERNAL: { http: 500, grpc: 13, remedy: 'This is a fault in Isthmus; look in the log of the node it names.' },
  INVALID_FIELD: { http: 422, grpc: 3, remedy: 'Correct the named field and send the request again.' },
  NOT_FOUND: { http: 404, grpc: 5, remedy: 'Check the spelling of the id; list the collection to see what exists.' },
  UNAUTHENTICATED: { http: 401, grpc: 16, remedy: 'Send a valid API key as `Authorization: Bearer …`.' },
  FORBIDDEN: { http: 403, grpc: 7, remedy: 'Use an identity that is allowed to do this.' },
  UNREACHABLE: { http: 503, grpc: 14, remedy: 'See which hop fails with `isthmus mesh trace`.' },
  DEADLINE_EXCEEDED: { http: 504, grpc: 4, remedy: 'Try again, or allow more time.' },
  CANCELLED: { http: 409, grpc: 1, remedy: 'Nothing to do: the caller gave up.' },
  RESOURCE_EXHAUSTED: { http: 429, grpc: 8, remedy: 'Send less, or less often.' },
} as const satisfies Record<string, CatalogueEntry>;

export type ErrorCode = keyof typeof errorCatalogue;

interface ErrorContext {
  /** The node at which it happened. */
  readonly hop?: string | undefined;
  /** The request or configuration field that is wrong, as a path: `routes[0].via[1]`. */
  readonly field?: string | undefined;
  /** Replaces the catalogue's remedy where more is known. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

/** An error with a stable code. Everything that crosses a module's edge as an error is one of these. */
export class IsthmusError extends Error {
  readonly code: ErrorCode;
  readonly hop: string | undefined;
  readonly field: string | undefined;
  readonly remedy: string;

  constructor(code: ErrorCode, message: string, context: ErrorContext = {}) {
    super(message, context.cause === undefined ? undefined : { cause: context.cause });
    this.name = 'IsthmusError';
    this.code = code;
    this.hop = context.hop;
    this.field = context.field;
    this.remedy = context.remedy ?? errorCatalogue[code].remedy;
  }

  /** Gives any thrown value a code: itself when it has one, else `fallback` with the value as cause. */
  static from(thrown: unknown, fallback: ErrorCode = 'INTERNAL', context: ErrorContext = {}): IsthmusError {
    if (thrown instanceof IsthmusError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new IsthmusError(fallback, message, { ...context, cause: thrown });
  }
}

/** Whether a string received from a peer is a code of the catalogue. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCatalogue, code);
}
