// Errors across gRPC: an IsthmusError becomes a status whose trailers carry its code, hop, field and remedy, and comes
// back as the same IsthmusError on the other side.
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { errorCatalogue, IsthmusError, isErrorCode, type ErrorCode } from '../../contract/errors.ts';

/** Longest text sent in a trailer or status: a peer's metadata cap must never turn an error into another one. */
const TEXT_LIMIT = 1024;

const codeByStatus: Partial<Record<number, ErrorCode>> = {
  [status.CANCELLED]: 'CANCELLED',
  [status.INVALID_ARGUMENT]: 'INVALID_FIELD',
  [status.DEADLINE_EXCEEDED]: 'DEADLINE_EXCEEDED',
  [status.NOT_FOUND]: 'NOT_FOUND',
  [status.PERMISSION_DENIED]: 'FORBIDDEN',
  [status.RESOURCE_EXHAUSTED]: 'RESOURCE_EXHAUSTED',
  [status.UNIMPLEMENTED]: 'METHOD_UNKNOWN',
  [status.UNAVAILABLE]: 'UNREACHABLE',
  [status.UNAUTHENTICATED]: 'UNAUTHENTICATED',
};

/** What `loadDefinitions` throws for an answer that cannot be read; the library puts it into a status, as text. */
export const UNREADABLE_ANSWER = 'the answer is no message of its type';

/** What goes on the wire for a thrown value. Only an IsthmusError shows its message: other errors may hold anything. */
export function toServiceError(thrown: unknown): Partial<ServiceError> {
  const error = thrown instanceof IsthmusError ? thrown : new IsthmusError('INTERNAL', 'internal error');
  const metadata = new Metadata();
  metadata.set('isthmus-code', error.code);
  metadata.set('isthmus-remedy', trailerText(error.remedy));
  if (error.hop !== undefined) metadata.set('isthmus-hop', trailerText(error.hop));
  if (error.field !== undefined) metadata.set('isthmus-field', trailerText(error.field));
  return { code: errorCatalogue[error.code].grpc, details: cut(error.message), metadata };
}

/** The IsthmusError behind a failed call; `hop` names the called node where the peer did not say. */
export function fromServiceError(thrown: unknown, hop?: string): IsthmusError {
  if (thrown instanceof IsthmusError) return thrown;
  if (!isServiceError(thrown)) return IsthmusError.from(thrown, 'INTERNAL', { hop });
  const code = trailer(thrown, 'isthmus-code');
  if (code !== undefined && isErrorCode(code)) {
    return new IsthmusError(code, thrown.details, {
      hop: trailer(thrown, 'isthmus-hop') ?? hop,
      field: trailer(thrown, 'isthmus-field'),
      remedy: trailer(thrown, 'isthmus-remedy'),
    });
  }
  const isUnreadable = thrown.code === status.INTERNAL && thrown.details.endsWith(UNREADABLE_ANSWER);
  const fallback = isUnreadable ? 'ANSWER_MALFORMED' : (codeByStatus[thrown.code] ?? 'INTERNAL');
  return new IsthmusError(fallback, thrown.details, { hop, cause: thrown });
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'details' in thrown && 'metadata' in thrown && 'code' in thrown;
}

function trailer(error: ServiceError, key: string): string | undefined {
  const value = error.metadata.get(key)[0];
  if (typeof value !== 'string') return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function trailerText(text: string): string {
  return encodeURIComponent(cut(text)).replaceAll('%20', ' ');
}

function cut(text: string): string {
  return text.slice(0, TEXT_LIMIT).toWellFormed();
}
