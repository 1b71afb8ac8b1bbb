// Checks that a tentacle will accept a script: a known interpreter, a bounded body, a bounded time limit.
import { IsthmusError } from '../../../contract/errors.ts';
import { INTERPRETERS, LONGEST_DEADLINE_S } from '../../../contract/tasks.ts';

export const LONGEST_SCRIPT_BYTES = 1024 * 1024;

/** Whether a tentacle accepts this body. */
export function isScriptBody(body: string): boolean {
  return body !== '' && !body.includes('\0') && Buffer.byteLength(body) <= LONGEST_SCRIPT_BYTES;
}

/** INVALID_FIELD, with the field of `script`, for what no tentacle accepts. */
export function checkScript(script: {
  readonly interpreter: string;
  readonly body: string;
  /** 0 for none. */
  readonly timeLimitS: number;
}): void {
  const { interpreter, body, timeLimitS } = script;
  if (!isScriptBody(body)) {
    const message = `a script has 1 to ${LONGEST_SCRIPT_BYTES} bytes, none of them NUL`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'body' });
  }
  if (!Number.isInteger(timeLimitS) || timeLimitS < 0 || timeLimitS > LONGEST_DEADLINE_S) {
    const message = `a time limit is 0 (none) to ${LONGEST_DEADLINE_S} whole seconds`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'timeLimitS' });
  }
  if (!INTERPRETERS.some((known) => known === interpreter)) {
    const message = `interpreter: there is no interpreter ${interpreter}; there is: ${INTERPRETERS.join(', ')}`;
    throw new IsthmusError('INVALID_FIELD', message, { field: 'interpreter' });
  }
}
