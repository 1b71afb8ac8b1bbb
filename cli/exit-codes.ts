// Exit codes, for scripts that call isthmus. `isthmus help exit-codes` prints this table and docs/operations.md repeats
// it; a test compares the two.
import { ERROR_CATALOGUE, type ErrorCode } from '../contract/errors.ts';

export const EXIT_CODES = {
  ok: { code: 0, meaning: 'Done; a task that was followed has succeeded.' },
  failed: {
    code: 1,
    meaning: 'The task did not succeed, a node did not reparent in time, or a check found something wrong.',
  },
  usage: {
    code: 2,
    meaning:
      'The command line was not understood, or a value is not allowed or names what is not there. Nothing was done.',
  },
  unreachable: { code: 3, meaning: 'The server (or, in join, the address) is unreachable or did not answer.' },
  wrongAuthority: { code: 4, meaning: 'The peer does not belong to the mesh of the given authority or pin.' },
  unauthorised: {
    code: 5,
    meaning: 'The API key or token is missing, wrong, expired, revoked, or not allowed to do this.',
  },
  clockSkew: { code: 6, meaning: 'The clocks of this machine and of the server are too far apart.' },
  notFound: { code: 7, meaning: 'The resource does not exist.' },
  conflict: {
    code: 8,
    meaning: 'The resource exists already, has changed, is in use, or is in a state that does not allow this.',
  },
  config: {
    code: 9,
    meaning: 'A file, a setting, a data folder or this machine cannot be used, or root must do this.',
  },
  rejected: { code: 10, meaning: 'The server rejected the request for another reason; the message says which.' },
  internal: { code: 70, meaning: 'A fault in Isthmus itself.' },
  output: { code: 74, meaning: 'The output could not be written to standard output.' },
  interrupted: { code: 130, meaning: 'Stopped by Ctrl-C or SIGTERM. A task at the server continues.' },
} as const;

export type ExitName = keyof typeof EXIT_CODES;

const BY_ERROR_CODE: Partial<Record<ErrorCode, ExitName>> = {
  ADDRESS_NOT_LOCAL: 'config',
  ALREADY_INITIALISED: 'conflict',
  BACKUP_INVALID: 'config',
  CA_FINGERPRINT: 'wrongAuthority',
  CANCELLED: 'interrupted',
  CLOCK_SKEW: 'clockSkew',
  CHECK_FAILED: 'failed',
  CONFIG_INVALID: 'config',
  CONFIRMATION_NEEDED: 'usage',
  DATA_DIR_LOCKED: 'config',
  DATA_DIR_UNUSABLE: 'config',
  PERMISSIONS_UNSAFE: 'config',
  DEADLINE_EXCEEDED: 'unreachable',
  FILE_UNUSABLE: 'config',
  IDENTITY_INVALID: 'config',
  IDENTITY_MISSING: 'config',
  INTERNAL: 'internal',
  INVALID_FIELD: 'usage',
  JOIN_DNS: 'unreachable',
  JOIN_PROXY: 'unreachable',
  JOIN_NOT_DIALLED: 'unreachable',
  JOIN_TCP: 'unreachable',
  JOIN_TLS: 'unreachable',
  JOURNAL_DAMAGED: 'config',
  LINK_TIMEOUT: 'unreachable',
  MASTER_KEY_MISSING: 'config',
  MASTER_KEY_WRONG: 'config',
  NOT_INITIALISED: 'config',
  REPARENT_TIMEOUT: 'failed',
  COMPONENT_FAILED: 'failed',
  PORT_FORBIDDEN: 'config',
  PORT_IN_USE: 'config',
  DECRYPT_FAILED: 'config',
  SCHEMA_NEWER: 'config',
  SECRET_ON_ARGV: 'usage',
  SERVER_CLOCK_SKEW: 'clockSkew',
  SERVER_UNREACHABLE: 'unreachable',
  SERVER_WRONG_AUTHORITY: 'wrongAuthority',
  NOT_ROOT: 'config',
  SERVICE_NOT_CONNECTED: 'failed',
  SERVICE_NOT_INSTALLED: 'notFound',
  SERVICE_START_FAILED: 'failed',
  SERVICE_UNSUPPORTED: 'config',
  SOFTWARE_ARCHITECTURE: 'failed',
  SOFTWARE_DAMAGED: 'failed',
  SOFTWARE_EXISTS: 'conflict',
  SOFTWARE_KEYS_MISSING: 'config',
  SOFTWARE_NOT_LISTED: 'failed',
  SOFTWARE_SIGNATURE_WRONG: 'failed',
  SOFTWARE_UNSIGNED: 'failed',
  TASK_NOT_SUCCESSFUL: 'failed',
  UNREACHABLE: 'unreachable',
  UPGRADE_JOURNAL_UNREADABLE: 'failed',
  UPGRADE_NOT_CONFIRMED: 'failed',
  UPGRADE_NOT_CONNECTED: 'failed',
  UPGRADE_START_FAILED: 'failed',
  USAGE: 'usage',
};

const BY_STATUS: Readonly<Record<number, ExitName>> = {
  401: 'unauthorised',
  403: 'unauthorised',
  404: 'notFound',
  409: 'conflict',
  412: 'conflict',
  422: 'usage',
  500: 'internal',
  503: 'unreachable',
  504: 'unreachable',
};

/** The exit code for an error of this machine, and of no server. */
export function localExitCodeOf(code: ErrorCode): number {
  if (code === 'DISK_FULL') return EXIT_CODES.config.code;
  return exitCodeOf(code, ERROR_CATALOGUE[code].http);
}

/** The exit code for an error: by its own code where that says most, else by its HTTP status. */
export function exitCodeOf(code: ErrorCode | undefined, httpStatus: number): number {
  const name = code === undefined ? undefined : BY_ERROR_CODE[code];
  return EXIT_CODES[name ?? BY_STATUS[httpStatus] ?? 'rejected'].code;
}

/** The table as text, for `isthmus help exit-codes`. */
export function exitCodeTable(): string {
  return Object.values(EXIT_CODES)
    .map(({ code, meaning }) => `${String(code).padStart(4)}  ${meaning}`)
    .join('\n');
}
