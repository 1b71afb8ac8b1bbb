// A line of the log as people read it at a terminal: time, level, component and message, then the facts as key=value.
import { safeJson } from '../text/unsafe-text.ts';

const LEVELS: Readonly<Record<string, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };

/**
 * The text of a JSON line of the log, in local time. Every value is escaped as in JSON. An error is its code and message;
 * its stack is only in the JSON.
 */
export function textLine(json: string): string {
  const { level, time, component, msg, ...facts } = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const at = new Date(Number(time)).toLocaleTimeString('en-GB', { hour12: false });
  const head = `${at} ${(LEVELS[String(level)] ?? '').padEnd(5)} ${shown(component)}: ${safeJson(quoted(msg)).slice(1, -1)}`;
  const pairs = Object.entries(facts).map(([key, value]) => `${shown(key)}=${shown(briefly(value))}`);
  return `${[head, ...pairs].join('  ')}\n`;
}

/** A plain word as it is, anything else as JSON. */
function shown(value: unknown): string {
  return typeof value === 'string' && /^[\w.:/@+-]+$/.test(value) ? value : safeJson(quoted(value));
}

function quoted(value: unknown): string {
  return JSON.stringify(value ?? '');
}

/** An error as pino writes it has a stack; of that people need the first line. */
function briefly(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !('message' in value) || !('stack' in value)) return value;
  const { code, message } = value as { readonly code?: unknown; readonly message: unknown };
  return typeof code === 'string' ? `${code}: ${String(message)}` : message;
}
