// A logger whose lines a test can look at.
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Logger } from '../../lib/telemetry/log.ts';

export interface HeardLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly msg: string;
}

/** Keeps every line that is written, from debug on. */
export function heardLog(): { readonly log: Logger; readonly lines: readonly HeardLine[] } {
  const lines: HeardLine[] = [];
  const write = (line: Buffer, _encoding: string, done: () => void): void => {
    lines.push(JSON.parse(line.toString()) as HeardLine);
    done();
  };
  const formatters = { level: (level: string) => ({ level }) };
  return { log: pino({ level: 'debug', formatters }, new Writable({ write })), lines };
}
