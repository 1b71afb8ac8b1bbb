// Creates the logger: pino with fields, never sentences built from values. A component gets its logger as a dependency.
import { pino, type Logger as PinoLogger } from 'pino';
import { safeJson } from '../text/unsafe-text.ts';
import { textLine } from './text-log.ts';

export type Logger = PinoLogger;

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['json', 'text'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

interface LogOptions {
  readonly component: string;
  readonly node?: string;
  readonly level?: LogLevel;
  /** JSON for programs, text for a terminal. */
  readonly format?: LogFormat;
}

/**
 * A logger on standard error; standard output is for results. Text from peers is escaped, so that a terminal that
 * shows the log does not obey it.
 */
export function createLogger({ component, node, level = 'info', format = 'json' }: LogOptions): Logger {
  return pino(
    {
      level,
      base: { component, ...(node === undefined ? {} : { node }) },
      hooks: { streamWrite: format === 'text' ? textLine : safeJson },
      redact: { paths: ['*.key', '*.token', '*.secret', '*.password', '*.authorization'], censor: '[masked]' },
    },
    // A log that cannot be written, as on a full disk, must not end the process.
    pino.destination({ dest: 2, sync: true }).on('error', () => undefined),
  );
}

/** A logger that writes nothing, for tests. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' });
}
