// Maps errors to gRPC and back: the trailers of a status carry an IsthmusError's code, hop, field, remedy and action, so
// that the caller gets the same IsthmusError.
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import {
  ERROR_CATALOGUE,
  IsthmusError,
  isErrorCode,
  receivedAction,
  type ErrorCode,
  type RemedyAction,
} from '../../contract/errors.ts';

/** Longest text in a trailer or status: an error must never exceed a peer's metadata limit and become another error. */
const TEXT_LIMIT = 1024;

const CODE_BY_STATUS: Partial<Record<number, ErrorCode>> = {
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

/** The error of `loadDefinitions` for an unreadable answer; grpc-js passes it on only as the text of a status. */
export const UNREADABLE_ANSWER = 'the answer is no message of its type';

/** How grpc-js tells that the session below a call has ended, by a fault of the peer or because it flooded this node. */
const BROKEN_SESSION = 'Received RST_STREAM with code';

/** What grpc-js words by its own parts, and with addresses of this process. */
const OWN_WORDS: Partial<Record<ErrorCode, (node: string) => string>> = {
  UNREACHABLE: (node) => `the connection to ${node} has ended`,
  DEADLINE_EXCEEDED: (node) => `${node} has not answered in time`,
};

/** A thrown value for the wire. Only the message of an IsthmusError is sent: others may contain anything. */
export function toServiceError(thrown: unknown): Partial<ServiceError> {
  const error = thrown instanceof IsthmusError ? thrown : new IsthmusError('INTERNAL', 'internal error');
  const metadata = new Metadata();
  metadata.set('isthmus-code', error.code);
  metadata.set('isthmus-remedy', trailerText(error.remedy));
  if (error.hop !== undefined) metadata.set('isthmus-hop', trailerText(error.hop));
  if (error.field !== undefined) metadata.set('isthmus-field', trailerText(error.field));
  if (error.action !== undefined) metadata.set('isthmus-action', trailerText(JSON.stringify(error.action)));
  return { code: ERROR_CATALOGUE[error.code].grpc, details: cut(error.message), metadata };
}

/** The IsthmusError of a failed call; `hop` is the called node, for errors without a hop. */
export function fromServiceError(thrown: unknown, hop?: string): IsthmusError {
  if (thrown instanceof IsthmusError) return thrown;
  if (!isServiceError(thrown)) return IsthmusError.from(thrown, 'INTERNAL', { hop });
  const code = trailer(thrown, 'isthmus-code');
  if (code !== undefined && isErrorCode(code)) {
    return new IsthmusError(code, thrown.details, {
      hop: trailer(thrown, 'isthmus-hop') ?? hop,
      field: trailer(thrown, 'isthmus-field'),
      remedy: trailer(thrown, 'isthmus-remedy'),
      action: actionTrailer(thrown),
    });
  }
  const errorCode = codeOf(thrown);
  return new IsthmusError(errorCode, OWN_WORDS[errorCode]?.(hop ?? 'the peer') ?? thrown.details, {
    hop,
    cause: thrown,
  });
}

/** The code of an error that no node has sent, but grpc-js itself. */
function codeOf({ code, details }: ServiceError): ErrorCode {
  if (code !== status.INTERNAL) return CODE_BY_STATUS[code] ?? 'INTERNAL';
  if (details.endsWith(UNREADABLE_ANSWER)) return 'ANSWER_MALFORMED';
  return details.startsWith(BROKEN_SESSION) ? 'UNREACHABLE' : 'INTERNAL';
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

function actionTrailer(error: ServiceError): RemedyAction | undefined {
  try {
    return receivedAction(JSON.parse(trailer(error, 'isthmus-action') ?? 'null'));
  } catch {
    return undefined;
  }
}

function trailerText(text: string): string {
  return encodeURIComponent(cut(text)).replaceAll('%20', ' ');
}

function cut(text: string): string {
  return text.slice(0, TEXT_LIMIT).toWellFormed();
}
