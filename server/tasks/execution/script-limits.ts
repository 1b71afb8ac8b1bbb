// What a script must be for a tentacle to take it: an interpreter that tentacles know, a bounded body, a bounded time.
import { IsthmusError } from '../../../contract/errors.ts';

export const longestScriptBytes = 1024 * 1024;
export const longestTimeLimitS = 7 * 86_400;

/** Interpreters that tentacles know; a table there, a list here. */
export const interpreters: readonly string[] = ['bash'];

/** Whether a tentacle would take this body. */
export function isScriptBody(body: string): boolean {
  return body !== '' && !body.includes('\0') && Buffer.byteLength(body) <= longestScriptBytes;
}

/** INVALID_FIELD, named as the fields of `script` are, for what no tentacle would take. */
export function checkScript(script: {
  readonly interpreter: string;
  readonly body: string;
  /** 0 for none. */
  readonly timeLimitS: number;
}): void {
  const { interpreter, body, timeLimitS } = script;
  if (!isScriptBody(body)) {
    const message = `a script has 1 to ${longestScriptBytes} bytes, none of them NUL`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'body' });
  }
  if (!Number.isInteger(timeLimitS) || timeLimitS < 0 || timeLimitS > longestTimeLimitS) {
    const message = `a time limit is 0 (none) to ${longestTimeLimitS} whole seconds`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'timeLimitS' });
  }
  if (!interpreters.includes(interpreter)) {
    const message = `interpreter: there is no interpreter ${interpreter}; there is: ${interpreters.join(', ')}`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'interpreter' });
  }
}
