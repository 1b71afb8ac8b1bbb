// Problem documents (RFC 9457): the API answers every error as one, with a stable code. Internals do not leak: an error
// that is no IsthmusError is logged and answered as INTERNAL, without its message.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Problem } from '../../contract/problem.ts';
import { ERROR_CATALOGUE, IsthmusError, type ErrorCode } from '../../contract/errors.ts';
import type { Logger } from '../../lib/telemetry/log.ts';

/** The problem document of an error. */
export function toProblem(error: IsthmusError): Problem {
  const hidden = error.code === 'INTERNAL';
  return {
    type: `urn:isthmus:error:${error.code}`,
    title: error.code.toLowerCase().replaceAll('_', ' '),
    status: ERROR_CATALOGUE[error.code].http,
    code: error.code,
    detail: hidden ? 'something went wrong inside the server' : error.message,
    ...(error.field === undefined ? {} : { field: error.field }),
    ...(error.hop === undefined ? {} : { hop: error.hop }),
    remedy: error.remedy,
    ...(error.action === undefined ? {} : { action: error.action }),
  };
}

/** Sends an error as a problem document. */
export function sendProblem(reply: FastifyReply, error: IsthmusError): FastifyReply {
  const problem = toProblem(error);
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  if (problem.status === 503 || problem.status === 429) reply.header('retry-after', '1');
  return reply.code(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

/** Fastify's error handler. */
export function problemHandler(log: Logger) {
  return (thrown: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const error = asIsthmusError(thrown);
    if (ERROR_CATALOGUE[error.code].http >= 500) {
      log.error({ err: error.cause ?? error, code: error.code, requestId: request.id }, 'request failed');
    }
    return sendProblem(reply, error);
  };
}

/** Our codes for Fastify's. */
const CODES_OF_FASTIFY: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'MALFORMED_BODY',
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_BAD_URL: 'NOT_FOUND',
  FST_ERR_MAX_PARAM_LENGTH: 'NOT_FOUND',
};

/** SQLite's code for a full disk: nothing was committed, and there may be room again later. */
const SQLITE_FULL = 13;

function asIsthmusError(thrown: FastifyError | Error): IsthmusError {
  if (thrown instanceof IsthmusError) return thrown;
  const code = 'code' in thrown ? CODES_OF_FASTIFY[thrown.code] : undefined;
  if (code !== undefined) return new IsthmusError(code, thrown.message, { cause: thrown });
  if ('errcode' in thrown && thrown.errcode === SQLITE_FULL) {
    return new IsthmusError('DISK_FULL', 'the disk of the server is full', { cause: thrown });
  }
  return IsthmusError.from(thrown);
}
