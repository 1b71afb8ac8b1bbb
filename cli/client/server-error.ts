// What the server answers instead of a result.
import { IsthmusError, isErrorCode, receivedAction, type ErrorCode } from '../../contract/errors.ts';
import type { Problem } from '../../contract/problem.ts';

/** An error the server answered with: it keeps the HTTP status, also of codes this version does not know. */
export class ServerError extends IsthmusError {
  readonly status: number;
  readonly serverCode: string;

  constructor(status: number, serverCode: string, problem: Partial<Problem>) {
    const known: ErrorCode = isErrorCode(serverCode) ? serverCode : status === 404 ? 'NOT_FOUND' : 'INTERNAL';
    super(known, problem.detail ?? problem.title ?? `the server answered ${status}`, {
      field: problem.field,
      hop: problem.hop,
      remedy: problem.remedy,
      action: receivedAction(problem.action),
    });
    this.status = status;
    this.serverCode = serverCode;
  }
}
